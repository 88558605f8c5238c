/* SPDX-License-Identifier: Apache-2.0 */
/* The kept document is a file of its own, STATE/routes.json, written before it is applied; the operator's file is looked at every second or two. */
#include "gateway/routes/route_source.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/routes/routes.h"
#include "wire/json.h"

#define LOOK_MS 2000

/* Which file, as far as it can be seen from outside. */
struct look {
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct route_source {
	struct route_source_config config;
	char *file, *kept;
	struct timer timer;
	struct look last;
	bool is_hubs; /* the routes that hold are the hub's */
	char *hubs;   /* their document */
};

/* -- The operator's file ---------------------------------------------------------------------------------------------------------------------- */

static struct routes *
load(const char *path, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(ROUTES_JSON_MAX);
	struct routes *routes;

	if (file_load(&text, path, err) < 0)
		return NULL;
	routes = routes_parse(buf_text(&text), text.len, err);
	return routes ? routes : err_wrap_null(err, "%s", path);
}

static int
apply(struct route_source *s, struct routes *routes, struct err *err)
{
	if (s->config.apply(s->config.arg, routes, err) < 0)
		return -1;
	if (routes->remarks)
		log_warn("routes: %s", routes->remarks);
	return 0;
}

static void
apply_file(struct route_source *s)
{
	struct err err = ERR_INIT;
	OWN(routes) routes = load(s->file, &err);

	if (routes && apply(s, routes, &err) == 0)
		log_info("%zu routes of %s hold", routes->n, s->file);
	else
		log_error("routes stay as they were: %s", err.text);
}

static bool
has_changed(struct route_source *s)
{
	struct stat st;
	struct look now = { 0 };

	if (stat(s->file, &st) == 0)
		now = (struct look){ .inode = st.st_ino, .size = st.st_size, .changed = st.st_mtim };
	if (now.inode == s->last.inode && now.size == s->last.size && now.changed.tv_sec == s->last.changed.tv_sec &&
		now.changed.tv_nsec == s->last.changed.tv_nsec)
		return false;
	s->last = now;
	return true;
}

static void
on_look(struct timer *timer)
{
	struct route_source *s = CONTAINER_OF(timer, struct route_source, timer);

	if (!s->is_hubs && has_changed(s))
		apply_file(s);
	timer_arm(&s->timer, LOOK_MS);
}

/* -- The hub's ----------------------------------------------------------------------------------------------------------------------------- */

static bool
apply_kept(struct route_source *s)
{
	struct err err = ERR_INIT;
	OWN(routes) routes = load(s->kept, &err);

	if (routes && apply(s, routes, &err) == 0)
		return true;
	if (err.kind != ERR_MISSING)
		log_error("the hub's routes that were kept: %s", err.text);
	return false;
}

/* What the hub has no routes for any more is the operator's again. */
static void
fall_back(struct route_source *s)
{
	OWN(routes) routes = routes_default();
	struct err err = ERR_INIT;

	s->is_hubs = false;
	if (file_remove(s->kept, &err) < 0 || (!s->file && apply(s, routes, &err) < 0))
		log_error("%s", err.text);
	s->last = (struct look){ 0 };
	if (s->file && has_changed(s))
		apply_file(s);
}

static void
tell_remarks(const struct routes *routes, struct err *err)
{
	if (routes->remarks)
		(void)err_set(err, ERR_INVALID, "%s", routes->remarks);
}

static int
take(struct route_source *s, const json_t *desired, struct err *err)
{
	OWN(routes) routes = routes_from_json(desired, err);
	OWN_TEXT text = routes ? json_line(desired) : NULL;

	if (!routes)
		return -1;
	if (s->is_hubs && text_is(text, s->hubs)) {
		tell_remarks(routes, err); /* said again */
		return 0;
	}
	if (strlen(text) > ROUTES_JSON_MAX)
		return err_set(err, ERR_LIMIT, "%zu bytes of desired properties: there may be %d", strlen(text), ROUTES_JSON_MAX);
	if (apply(s, routes, err) < 0)
		return -1;
	s->is_hubs = true;
	mem_free(s->hubs);
	s->hubs = mem_text(text);
	log_info("%zu routes of the hub hold", routes->n);
	if (file_save(s->kept, text, strlen(text), 0600, err) < 0)
		return -1;
	tell_remarks(routes, err);
	return 0;
}

static bool
has_routes(const json_t *desired)
{
	return json_object_get(desired, "routes") || json_object_get(desired, "schemaVersion");
}

int
route_source_desired(void *source, const json_t *desired, struct err *err)
{
	struct route_source *s = source;

	if (has_routes(desired))
		return take(s, desired, err);
	if (s->is_hubs)
		fall_back(s);
	return 0;
}

/* -- Its life -------------------------------------------------------------------------------------------------------------------------------- */

struct route_source *
route_source_open(const struct route_source_config *config)
{
	struct route_source *s = NEW(route_source);

	s->config = *config;
	s->file = mem_text(config->file);
	s->kept = file_join(config->state_dir, "routes.json");
	timer_init(&s->timer, config->loop, on_look);
	s->is_hubs = apply_kept(s);
	if (!s->is_hubs && s->file) {
		(void)has_changed(s);
		apply_file(s);
	}
	if (s->file)
		timer_arm(&s->timer, LOOK_MS);
	return s;
}

void
route_source_free(struct route_source *s)
{
	if (!s)
		return;
	timer_cancel(&s->timer);
	mem_free(s->file);
	mem_free(s->kept);
	mem_free(s->hubs);
	mem_free(s);
}
