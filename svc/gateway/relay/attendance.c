/* SPDX-License-Identifier: Apache-2.0 */
/* One look at a time for each identity; whoever says meanwhile that something has changed has it looked at again. */
#include "gateway/relay/attendance.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"

struct attendance {
	struct attendance_config config;
	struct map *by_name;
};

/* What a look found. */
struct sight {
	struct loop *loop; /* NULL: nobody */
	uint64_t conn_id;
	unsigned wants;
	char *generation_id;
};

struct entry {
	struct attendance *all;
	char *name, *device_id, *module_id;
	struct directory_visit visit;
	struct post post;
	struct sight found, told;
	char *model_id, *model_of; /* named last, by which generation; NULL: none was */
	struct loop *namer_loop;   /* and by which connection */
	uint64_t namer_id;
	bool has_seen_namer; /* it was looked at: then another connection is a later one */
	bool is_looking, look_again;
	unsigned asked;
};

struct hint {
	struct post post;
	struct attendance *all;
	char *device_id, *module_id;
	unsigned asked;
	char *generation_id, *model_id; /* NULL: no model was named */
	struct loop *namer_loop;
	uint64_t namer_id;
	bool is_end; /* where nobody was told of there is nothing to look at */
};

static void
sight_clear(struct sight *sight)
{
	mem_free(sight->generation_id);
	*sight = (struct sight){ 0 };
}

static void
entry_free(struct entry *e)
{
	mem_free(e->name);
	mem_free(e->device_id);
	mem_free(e->module_id);
	mem_free(e->model_id);
	mem_free(e->model_of);
	sight_clear(&e->found);
	sight_clear(&e->told);
	mem_free(e);
}

/* -- Looking ------------------------------------------------------------------------------------------------------------------------------ */

static void look(struct entry *e);

static void
forget_model(struct entry *e)
{
	mem_free(e->model_id);
	mem_free(e->model_of);
	e->model_id = e->model_of = NULL;
}

/* Who comes after it has named none, or there would be a word of his. */
static void
look_at_namer(struct entry *e)
{
	bool is_namer = e->told.loop == e->namer_loop && e->told.conn_id == e->namer_id;

	if (e->has_seen_namer && !is_namer)
		forget_model(e);
	e->has_seen_namer = e->has_seen_namer || is_namer;
}

static void
tell(struct entry *e)
{
	struct attendee now = {
		.device_id = e->device_id,
		.module_id = e->module_id,
		.generation_id = e->found.generation_id,
		.wants = e->found.wants,
		.is_another = e->found.loop != e->told.loop || e->found.conn_id != e->told.conn_id,
	};

	if (e->found.wants & HEAD_WANTS_COMMANDS)
		now.wants |= e->asked;
	e->asked = 0;
	sight_clear(&e->told);
	e->told = e->found;
	look_at_namer(e);
	e->found = (struct sight){ 0 };
	e->all->config.on_change(e->all->config.arg, &now);
}

static void
settle(struct entry *e)
{
	e->is_looking = false;
	tell(e);
	if (e->look_again) {
		look(e);
	} else if (!e->told.loop) {
		map_remove_text(e->all->by_name, e->name);
		entry_free(e);
	}
}

static void
on_seen(struct post *post)
{
	settle(CONTAINER_OF(post, struct entry, post));
}

/* On the loop of the session. */
static void
on_visit(struct directory_visit *visit, struct head_session *session)
{
	struct entry *e = CONTAINER_OF(visit, struct entry, visit);
	const struct subject *subject = audience_find(&e->all->config.audience, session, "");

	if (subject) {
		e->found.loop = conn_loop(head_session_conn(session));
		e->found.conn_id = conn_id(head_session_conn(session));
		e->found.wants = head_session_wants(session);
		e->found.generation_id = mem_text(subject->generation_id);
	}
	loop_post(e->all->config.loop, &e->post);
}

static void
look(struct entry *e)
{
	e->is_looking = true;
	e->look_again = false;
	e->visit.run = on_visit;
	e->post.run = on_seen;
	if (!directory_visit(e->all->config.audience.directory, e->name, &e->visit))
		settle(e);
}

/* -- Hints --------------------------------------------------------------------------------------------------------------------------------- */

static struct entry *
need_entry(struct attendance *a, const struct hint *hint)
{
	OWN_TEXT name = identity_name(hint->device_id, hint->module_id);
	struct entry *e = map_find_text(a->by_name, name);

	if (e)
		return e;
	e = NEW(entry);
	e->all = a;
	e->name = GIVE(name);
	e->device_id = mem_text(hint->device_id);
	e->module_id = mem_text(hint->module_id);
	map_put_text(a->by_name, e->name, e);
	return e;
}

static struct named_model
named_by(const struct entry *e)
{
	return (struct named_model){ e->device_id, e->module_id, e->model_of, e->model_id };
}

static void
take_model(struct entry *e, struct hint *hint)
{
	struct named_model named;

	forget_model(e);
	e->model_id = hint->model_id;
	e->model_of = hint->generation_id;
	e->namer_loop = hint->namer_loop;
	e->namer_id = hint->namer_id;
	e->has_seen_namer = false;
	named = named_by(e);
	e->all->config.on_model(e->all->config.arg, &named);
}

static bool
is_known(struct attendance *a, const struct hint *hint)
{
	OWN_TEXT name = identity_name(hint->device_id, hint->module_id);

	return map_find_text(a->by_name, name) != NULL;
}

static void
take_hint(struct entry *e, struct hint *hint)
{
	if (hint->model_id)
		take_model(e, hint);
	e->asked |= hint->asked;
	if (e->is_looking)
		e->look_again = true;
	else
		look(e);
}

static void
on_hint(struct post *post)
{
	struct hint *hint = CONTAINER_OF(post, struct hint, post);

	if (!hint->is_end || is_known(hint->all, hint))
		take_hint(need_entry(hint->all, hint), hint);
	mem_free(hint->device_id);
	mem_free(hint->module_id);
	mem_free(hint);
}

static struct hint *
new_hint(struct attendance *a, const char *device_id, const char *module_id)
{
	struct hint *hint = NEW(hint);

	hint->post.run = on_hint;
	hint->all = a;
	hint->device_id = mem_text(device_id);
	hint->module_id = mem_text(module_id);
	return hint;
}

void
attendance_look(struct attendance *a, const char *device_id, const char *module_id, unsigned asked)
{
	struct hint *hint = new_hint(a, device_id, module_id);

	hint->asked = asked;
	loop_post(a->config.loop, &hint->post);
}

void
attendance_end(struct attendance *a, const char *device_id, const char *module_id)
{
	struct hint *hint = new_hint(a, device_id, module_id);

	hint->is_end = true;
	loop_post(a->config.loop, &hint->post);
}

void
attendance_name_model(struct attendance *a, const struct named_model *named, const struct conn *by)
{
	struct hint *hint = new_hint(a, named->device_id, named->module_id);

	hint->generation_id = mem_text(named->generation_id);
	hint->model_id = mem_text(named->model_id);
	hint->namer_loop = conn_loop(by);
	hint->namer_id = conn_id(by);
	loop_post(a->config.loop, &hint->post);
}

bool
attendance_model(struct attendance *a, const char *name, struct named_model *named)
{
	const struct entry *e = map_find_text(a->by_name, name);

	if (!e || !e->model_id)
		return false;
	*named = named_by(e);
	return true;
}

struct attendance *
attendance_new(const struct attendance_config *config)
{
	struct attendance *a = NEW(attendance);

	a->config = *config;
	a->by_name = map_new();
	return a;
}

void
attendance_free(struct attendance *a)
{
	size_t at = 0;
	void *entry;

	if (!a)
		return;
	while (map_next(a->by_name, &at, NULL, NULL, &entry))
		entry_free(entry);
	map_free(a->by_name);
	mem_free(a);
}
