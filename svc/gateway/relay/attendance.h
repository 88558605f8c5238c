/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which downstream identities are connected and what they listen to, as the upstream side needs it on its own loop.  Sessions say when something may have changed; what is so is
 * then read from the session that the directory names: so an older session's end never undoes what a newer one began, in whatever order the loops' words arrive. */

#include "gateway/relay/audience.h"
#include "net/loop.h"

struct attendee {
	const char *device_id, *module_id, *generation_id;
	unsigned
		wants; /* bits of enum head_wants; 0: it is not connected, or listens to nothing.  With HEAD_ASKED_COMMANDS when it has just asked for them */
	bool is_another; /* its connection is not the one that was told last */
};

/* Who has named which model when it connected. */
struct named_model {
	const char *device_id, *module_id, *generation_id, *model_id;
};

struct attendance_config {
	struct loop *loop;
	struct audience audience;
	void (*on_change)(void *arg, const struct attendee *attendee); /* on `loop`; borrowed */
	void (*on_model)(void *arg, const struct named_model *named);  /* the same */
	void *arg;
};

struct attendance;
struct attendance *attendance_new(const struct attendance_config *config);
void attendance_free(struct attendance *attendance); /* after the loops are finished */

/* Any thread.  on_model follows by the next word to `loop`, and so before anything that comes by way of the queue. */
void attendance_name_model(struct attendance *attendance, const struct named_model *named, const struct conn *by);
/* On `loop`: what the connection of this name has named, as far as it was looked at, borrowed; false: nothing, or nobody is connected. */
bool attendance_model(struct attendance *attendance, const char *name, struct named_model *named);

/* Any thread.  `asked`: HEAD_ASKED_COMMANDS or 0. */
void attendance_look(struct attendance *attendance, const char *device_id, const char *module_id, unsigned asked);
void attendance_end(struct attendance *attendance, const char *device_id,
	const char *module_id); /* of a connection: it may have been this one that was told of */
