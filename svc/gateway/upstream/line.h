/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One downstream identity's way to the hub: a connection of its own, or a strand of one that carries all (carrier.h), opened with the gateway's token on behalf of the device (gateway 4.7), for all that goes between the two.
 * It is connected while one of its users needs it, and for a while after; then it goes, as soon as nobody has begun anything with it.  A connection may be used when the hub has said, after it took it, which device has this name: who was
 * deleted and made again is another (atk-25), and the hub does not know of generations on the connection itself.  Lives on the loop of its lines. */

#include "device/device_link.h"

struct line;
struct lines;
struct line_way;

/* Who uses it, and what for.  Each hears of what concerns it; all of the calls may be NULL but `drop`. */
enum line_use { LINE_MESSAGES, LINE_TWIN, LINE_METHODS, LINE_COMMANDS, LINE_MODEL, LINE_USES };
struct line_user;
struct line_user_ops {
	/* The hub has said that this generation has the name now ("": it tells none).  The line can be used if line_is_ready. */
	void (*on_confirmed)(struct line_user *user, const char *generation);
	/* The connection is gone: what was sent and not answered is not known to have arrived. */
	void (*on_lost)(struct line_user *user);
	/* Nobody has the name, or may be spoken for, any more. */
	void (*on_gone)(struct line_user *user, const char *why);
	void (*on_acked)(struct line_user *user, uint64_t cookie);
	/* As struct device_told_ops. */
	void (*on_listening)(struct line_user *user, unsigned granted);
	void (*on_desired)(struct line_user *user, int64_t version, struct slice patch);
	void (*on_twin)(struct line_user *user, uint64_t cookie, int status, int64_t version, struct slice body);
	void (*on_method)(struct line_user *user, const char *name, const char *rid, struct slice payload);
	void (*on_command)(struct line_user *user, uint64_t id, struct slice bag, struct slice payload);
	/* Nothing that it has begun will come back to it; NULL: nothing ever does.  Asked only when it does not need the line. */
	bool (*is_idle)(struct line_user *user);
	void (*drop)(struct line_user *user); /* the line is being freed, and this with it */
};
struct line_user {
	const struct line_user_ops *ops;
	struct line *line;
};

struct line *line_new(struct lines *lines, const char *device_id, const char *module_id);
void line_stop(struct line *line); /* begins nothing new */
void line_free(struct line *line); /* once no job of its is on the pool */

void line_attach(struct line *line, enum line_use use, struct line_user *user);
struct line_user *line_user(const struct line *line, enum line_use use); /* NULL: none yet */

/* It is needed for this, or not any more. */
void line_hold(struct line *line, enum line_use use, bool is_needed);
/* The hub is to tell these for this use (bits of enum device_wants) whenever the line can be used; on_listening follows each time.  That makes the line needed, but for answers. */
void line_listen(struct line *line, enum line_use use, unsigned wants);

/* The model that this generation of the device names itself when it connects.  The hub hears of it on a connection that names it, so one that does not is made again.  A line that
 * goes forgets it: whoever hears of new lines (lines.h) tells the next one. */
void line_set_model(struct line *line, const char *model_id, const char *generation_id);

bool line_is_ready(const struct line *line);
/* Whom the hub has confirmed this connection to be for; NULL: not (yet). */
const char *line_generation(const struct line *line);
/* Something belongs to another generation than that: ask the hub again. */
void line_confirm(struct line *line);
/* Why nobody has the name, as far as the scope says; NULL: somebody may. */
const char *line_gone(const struct line *line);
void line_hurry(struct line *line);
void line_trust(struct line *line); /* by what upstream_tls has now */

struct line_way *line_way(struct line *line);
struct device_link *line_link(const struct line *line);
struct lines *line_lines(const struct line *line);
bool line_is_own(const struct line *line); /* $edgeHub's */
const char *line_name(const struct line *line);
const char *line_device_id(const struct line *line);
const char *line_module_id(const struct line *line);
