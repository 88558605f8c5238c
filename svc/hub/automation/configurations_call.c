/* SPDX-License-Identifier: Apache-2.0 */
/* What services ask of configurations: to see, put and remove them (configurations.h). */
#include "hub/automation/configurations_inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "hub/automation/configuration_view.h"
#include "wire/codec.h"
#include "wire/json.h"

#define METRICS_MS 100 /* for all of a configuration: the registry waits meanwhile */

/* -- As they are shown ------------------------------------------------------------------------------------------------------------------------------------ */

/* How many rows a metric has; NULL when that takes too long to be told in passing. */
static json_t *
measure(struct configurations *cs, const char *text, int64_t until)
{
	struct twin_row_context context = { .db = cs->db, .registry = cs->registry, .directory = cs->directory };
	struct err err = ERR_INIT;
	struct query *query = query_parse(text, &err);
	OWN_LIB(json_t) rows = NULL;
	struct twin_walk walk;
	json_t *result = NULL;

	if (!query || query->from == QUERY_JOBS) {
		query_free(query);
		return NULL;
	}
	if (twin_walk_init(&walk, query, text, cs->indexed_paths, cs->n_indexed_paths, NULL, 0, &err) == 0 &&
		twin_walk_go(&walk, &context, until, &err) == 0 && walk.state == TWIN_WALK_END) {
		rows = twin_walk_rows(&walk);
		result = json_integer((json_int_t)json_array_size(rows));
	}
	twin_walk_clear(&walk);
	return result;
}

static json_t *
measure_all(struct configurations *cs, const struct configuration *c)
{
	json_t *queries = json_object_get(json_object_get(c->doc, "metrics"), "queries"), *results = json_object(), *text;
	int64_t until = clock_boot_ms() + METRICS_MS;
	const char *name;

	json_object_foreach(queries, name, text) {
		json_t *result = clock_boot_ms() < until ? measure(cs, json_string_value(text), until) : NULL;

		if (result)
			json_object_set_new(results, name, result);
	}
	return results;
}

static json_t *
view(struct configurations *cs, const struct configuration *c, bool measured, struct err *err)
{
	int64_t targeted = 0, applied = 0;
	OWN_LIB(json_t) results = measured ? measure_all(cs, c) : json_object();

	if (configuration_store_count(cs->db, c, &targeted, &applied, err) < 0)
		return NULL;
	return configuration_view(c, targeted, applied, results);
}

static enum configuration_answer
show(struct configurations *cs, struct configuration_call *call, const struct configuration *c)
{
	call->result = view(cs, c, call->op == CONFIGURATION_GET, &call->err);
	call->etag = mem_text(c->etag);
	return call->result ? CONFIGURATION_OK : CONFIGURATION_FAILED;
}

/* -- Operations --------------------------------------------------------------------------------------------------------------------------------------------- */

static char *
new_etag(void)
{
	CLEAR(buf) text = BUF_INIT(32);
	uint8_t bytes[8];

	random_bytes(bytes, sizeof(bytes));
	base64_encode(&text, bytes, sizeof(bytes));
	return buf_take_text(&text);
}

static enum configuration_answer
check_match(const struct configuration_call *call, const struct configuration *before)
{
	if (!before)
		return call->if_match || call->op != CONFIGURATION_PUT ? CONFIGURATION_MISSING : CONFIGURATION_OK;
	if (!call->if_match)
		return call->op == CONFIGURATION_PUT ? CONFIGURATION_EXISTS : CONFIGURATION_OK;
	return text_is(call->if_match, "*") || text_is(call->if_match, before->etag) ? CONFIGURATION_OK : CONFIGURATION_WRONG_ETAG;
}

/* The content stays what it was: left out, or said again. */
static enum configuration_answer
keep_content(json_t *doc, const struct configuration *before)
{
	json_t *content = json_object_get(doc, "content"), *was = json_object_get(before->doc, "content");

	if (content && !json_is_null(content) && !json_equal(content, was))
		return CONFIGURATION_IMMUTABLE;
	json_object_set(doc, "content", was);
	return CONFIGURATION_OK;
}

static void
put_in_place(struct configurations *cs, struct configuration *after, const struct configuration *before)
{
	size_t i = 0;

	while (i < cs->n && cs->list[i] != before)
		i++;
	if (before) {
		after->sweep = before->sweep;
		if (cs->swept == before)
			configurations_end_sweep(cs);
		configuration_free(cs->list[i]);
	} else {
		cs->n++;
	}
	cs->list[i] = after;
	after->to_sweep = true;
	configurations_wake(cs);
}

/* One of the same name that is on its way out leaves at once. */
static int
make_room(struct configurations *cs, struct configuration_call *call)
{
	struct configuration *c;

	while ((c = configuration_find(cs->list, cs->n, call->id, true)))
		if (configurations_finish_next(cs, c, &call->err) < 0)
			return -1;
	return 0;
}

static enum configuration_answer
put(struct configurations *cs, struct configuration_call *call)
{
	struct configuration *before = configuration_find(cs->list, cs->n, call->id, false);
	OWN(configuration) after = NULL;
	OWN_TEXT etag = new_etag();
	enum configuration_answer answer = check_match(call, before);

	if (answer != CONFIGURATION_OK)
		return answer;
	if (!before && make_room(cs, call) < 0)
		return CONFIGURATION_FAILED;
	if (!before && cs->n == CONFIGURATIONS_MAX)
		return CONFIGURATION_TOO_MANY;
	after = configuration_new(call->id, etag, json_copy(call->body), before ? before->created_ms : clock_wall_ms());
	json_object_set_new(after->doc, "updated_ms", json_integer(clock_wall_ms()));
	answer = before ? keep_content(after->doc, before) : CONFIGURATION_OK;
	if (answer == CONFIGURATION_OK)
		answer = configuration_read(after, &call->err);
	if (answer != CONFIGURATION_OK)
		return answer;
	if (configuration_store_save(cs->db, after, &call->err) < 0)
		return CONFIGURATION_FAILED;
	put_in_place(cs, after, before);
	return show(cs, call, GIVE(after));
}

/* It is gone for who asks; what it has set is taken back in steps, and it is forgotten after that. */
static enum configuration_answer
drop(struct configurations *cs, struct configuration_call *call)
{
	struct configuration *c = configuration_find(cs->list, cs->n, call->id, false);
	enum configuration_answer answer = check_match(call, c);

	if (answer != CONFIGURATION_OK)
		return answer;
	if (configuration_store_doom(cs->db, c, &call->err) < 0)
		return CONFIGURATION_FAILED;
	if (cs->swept == c)
		configurations_end_sweep(cs);
	c->is_doomed = true;
	c->sweep++;
	c->to_sweep = false;
	c->to_finish = true;
	configurations_wake(cs);
	return CONFIGURATION_OK;
}

static int
by_id(const void *a, const void *b)
{
	return strcmp((*(struct configuration *const *)a)->id, (*(struct configuration *const *)b)->id);
}

static enum configuration_answer
list(struct configurations *cs, struct configuration_call *call)
{
	qsort(cs->list, cs->n, sizeof(*cs->list), by_id);
	call->result = json_array();
	for (size_t i = 0; i < cs->n && (call->max <= 0 || (int64_t)json_array_size(call->result) < call->max); i++) {
		json_t *shown = cs->list[i]->is_doomed ? NULL : view(cs, cs->list[i], false, &call->err);

		if (!shown && !cs->list[i]->is_doomed)
			return CONFIGURATION_FAILED;
		if (shown)
			json_array_append_new(call->result, shown);
	}
	return CONFIGURATION_OK;
}

static enum configuration_answer
get(struct configurations *cs, struct configuration_call *call)
{
	const struct configuration *c = configuration_find(cs->list, cs->n, call->id, false);

	return c ? show(cs, call, c) : CONFIGURATION_MISSING;
}

void
configurations_run(struct configurations *cs, struct configuration_call *call)
{
	static enum configuration_answer (*const operations[])(struct configurations *, struct configuration_call *) = {
		[CONFIGURATION_GET] = get, [CONFIGURATION_LIST] = list, [CONFIGURATION_PUT] = put, [CONFIGURATION_REMOVE] = drop
	};

	call->answer = operations[call->op](cs, call);
}

static void
run_call(struct job *job)
{
	struct configuration_call *call = CONTAINER_OF(job, struct configuration_call, job);

	configurations_run(call->configurations, call);
}

static void
call_done(struct job *job)
{
	struct configuration_call *call = CONTAINER_OF(job, struct configuration_call, job);

	call->done(call);
}

bool
configurations_submit(struct configurations *cs, struct configuration_call *call, struct owner *owner)
{
	call->configurations = cs;
	call->job = (struct job){ .run = run_call, .done = call_done, .owner = owner };
	return registry_work(cs->registry, &call->job);
}

void
configuration_call_clear(struct configuration_call *call)
{
	mem_free(call->id);
	mem_free(call->if_match);
	mem_free(call->etag);
	json_decref(call->body);
	json_decref(call->result);
}
