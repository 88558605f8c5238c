/* SPDX-License-Identifier: Apache-2.0 */
/* The nested form of the scope API, which gives the gateway its own device's modules too.  An answer about the gateway's own credentials (401) is never
 * taken for one about a device: the original forgets healthy devices that way (gateway 3.3). */
#include "gateway/scope/scope_api.h"

#include <string.h>

#include "auth/identity.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/gauges/hub_presence.h"
#include "gateway/upstream/upstream_call.h"
#include "wire/json.h"

#define PAGE_SIZE 500
#define PAGES_MAX 20000
#define LIST_WITHIN_MS 20000
#define GET_WITHIN_MS 10000 /* a device waits for it, and no longer than the heads let it */
#define AGE_MAX_S (100LL * 366 * 86400)
#define HTTP_NOT_MODIFIED 304
#define HTTP_FORBIDDEN 403
#define HTTP_NOT_FOUND 404

/* What an answer says beside its body. */
struct said {
	int status;
	int refusal; /* the status of a refusal that says its code, as a hub does; 0 when there was none, or something on the way refused */
	char *etag;
};

static void
said_clear(struct said *said)
{
	mem_free(said->etag);
	*said = (struct said){ 0 };
}

static char *
without_quotes(const char *etag)
{
	size_t len = etag ? strlen(etag) : 0;

	return len > 2 && etag[0] == '"' && etag[len - 1] == '"' ? mem_textn(etag + 1, len - 2) : NULL;
}

/* With each answer comes how it is about the hub above who gave it; one that has no such line is of one that does not tell. */
static void
take_word(const struct http_answer *answer, uint64_t n_told)
{
	struct hub_word word = { 0 };

	if (answer->hub)
		hub_word_parse(&word, slice_of(answer->hub));
	if (answer->status / 100 == 2 || answer->status == HTTP_NOT_MODIFIED)
		hub_presence_answered(&word, n_told);
}

static json_t *
ask(struct upstream *u, const char *operation, const char *header, json_t *body_take, int64_t within_ms, struct said *said,
	struct err *err)
{
	OWN_LIB(json_t) body = body_take;
	struct upstream_call call = {
		.method = "POST", .operation = operation, .body = body, .header = header, .within_ms = within_ms
	};
	uint64_t n_told = hub_presence_n_told();
	struct http_answer answer;
	json_t *json;

	if (upstream_fetch_json(&json, &answer, u, &call, err) == 0 && !json)
		err_set(err, ERR_INVALID, "the hub sent an empty answer");
	*said = (struct said){
		.status = answer.status, .refusal = answer.error_code ? answer.status : 0, .etag = without_quotes(answer.etag)
	};
	take_word(&answer, n_told);
	http_answer_clear(&answer);
	return json;
}

/* A record that can't be read is left out: one bad record must not lock out the rest. */
static void
take_records(struct scope_listed *listed, const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, item) {
		struct err err = ERR_INIT;
		struct identity *identity = identity_from_json(item, &err);

		if (identity) {
			OWN_TEXT name = identity_name(identity->device_id, identity->module_id);

			identity_free(map_put_text(listed->records, name, identity));
		} else if (listed->n_broken++ == 0) {
			listed->broken = err;
		}
	}
}

/* Each answer has them; what can't be read leaves those that were there. */
static void
take_cas(struct authorities **cas, const json_t *answer)
{
	const json_t *list = json_object_get(answer, "certificateAuthorities");
	struct err err = ERR_INIT;
	struct authorities *set = json_is_array(list) ? authorities_from_json(list, &err) : NULL;

	if (json_is_array(list) && !set)
		log_warn("the hub sent CAs that can't be read: %s", err.text);
	if (!set)
		return;
	authorities_free(*cas);
	*cas = set;
}

/* A gateway above says how long ago the hub confirmed it (our extension): what it tells from memory is no younger here.  A time to come is none. */
static void
take_age(struct scope_listed *listed, const json_t *answer)
{
	struct err ignored = ERR_INIT;
	int64_t age_s = 0;

	if (json_find_int(answer, "confirmedSecondsAgo", &age_s, &ignored) == 0 && age_s > listed->age_s)
		listed->age_s = age_s < AGE_MAX_S ? age_s : AGE_MAX_S;
}

/* Both lists are there, if only as null: what answers otherwise is not a hub. */
static int
take_answer(struct scope_listed *listed, const json_t *answer, struct err *err)
{
	static const char *const lists[] = { "devices", "modules" };

	for (size_t i = 0; i < COUNT(lists); i++) {
		json_t *list = json_object_get(answer, lists[i]);

		if (!json_is_array(list) && !json_is_null(list))
			return err_set(err, ERR_INVALID, "the hub's answer has no list of %s", lists[i]);
		take_records(listed, list);
	}
	take_cas(&listed->cas, answer);
	take_age(listed, answer);
	listed->takes_marks = json_is_true(json_object_get(answer, "takesMessageMarks"));
	return 0;
}

static void
take_removed(struct scope_listed *listed, const json_t *answer)
{
	const json_t *removed = json_object_get(answer, "removed");
	json_t *item;
	size_t i;

	if (!json_is_array(removed))
		return;
	listed->what = SCOPE_DIFFERENCE;
	json_array_foreach((json_t *)(uintptr_t)removed, i, item)
		if (json_is_string(item))
			map_put_text(listed->removed, json_string_value(item), listed);
}

void
scope_listed_clear(struct scope_listed *listed)
{
	size_t at = 0;
	void *identity;

	while (listed->records && map_next(listed->records, &at, NULL, NULL, &identity))
		identity_free(identity);
	map_free(listed->records);
	map_free(listed->removed);
	authorities_free(listed->cas);
	mem_free(listed->etag);
	*listed = (struct scope_listed){ 0 };
}

static json_t *
ask_page(struct upstream *u, const char *chain, const char *since, const char *link, struct said *said, struct err *err)
{
	json_t *body = json_pack("{s:i, s:s, s:s?, s:s*}", "pageSize", PAGE_SIZE, "authChain", chain, "continuationLink", link,
		"since", link ? NULL : since);
	OWN_TEXT known = since && !link ? mem_textf("If-None-Match: \"%s\"", since) : NULL;

	return ask(u, "devicesAndModulesInTargetDeviceScope", known, body, LIST_WITHIN_MS, said, err);
}

/* The etag is that of the first page: what changed while the others were read is then in the next difference. */
static void
take_first(struct scope_listed *listed, struct said *said, const json_t *page)
{
	listed->etag = GIVE(said->etag);
	take_removed(listed, page);
}

int
scope_api_list(struct upstream *u, const char *chain, const char *since, struct scope_listed *listed, int *refusal, struct err *err)
{
	OWN_TEXT link = NULL;

	*listed = (struct scope_listed){ .records = map_new(), .removed = map_new(), .broken = ERR_INIT };
	for (int i = 0; i < PAGES_MAX; i++) {
		CLEAR(said) said = { 0 };
		OWN_LIB(json_t) page = ask_page(u, chain, since, link, &said, err);
		const char *next = NULL;

		*refusal = said.refusal;
		if (said.status == HTTP_NOT_MODIFIED && since && i == 0) {
			*err = (struct err)ERR_INIT;
			listed->what = SCOPE_SAME;
			return 0;
		}
		if (!page || json_find_text(page, "continuationLink", &next, err) < 0 || take_answer(listed, page, err) < 0)
			return err_wrap(err, "the devices of this gateway");
		if (i == 0)
			take_first(listed, &said, page);
		if (!next || !*next)
			return 0;
		mem_free(link);
		link = mem_text(next);
	}
	return err_set(err, ERR_LIMIT, "the hub's list of this gateway's devices has no end");
}

enum scope_answer
scope_api_get(struct upstream *u, const char *device_id, const char *module_id, struct map *records, struct authorities **cas,
	int64_t *age_s, bool *takes_marks, struct err *err)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	OWN_TEXT chain = mem_textf("%s;%s", name, upstream_config(u)->edge_id);
	json_t *body = json_pack("{s:s, s:s, s:s?}", "authChain", chain, "targetDeviceId", device_id, "targetModuleId", module_id);
	struct scope_listed listed = { .records = records, .broken = ERR_INIT };
	CLEAR(said) said = { 0 };
	OWN_LIB(json_t) answer = ask(u, "getDeviceAndModuleOnBehalfOf", NULL, body, GET_WITHIN_MS, &said, err);

	if (!answer && said.refusal == HTTP_FORBIDDEN)
		return SCOPE_NOT_BELOW;
	if (!answer)
		return said.refusal == HTTP_NOT_FOUND ? SCOPE_UNKNOWN : SCOPE_NO_ANSWER;
	if (take_answer(&listed, answer, err) < 0 || listed.n_broken > 0) {
		authorities_free(listed.cas);
		if (listed.n_broken > 0)
			*err = listed.broken;
		return SCOPE_NO_ANSWER;
	}
	*cas = listed.cas;
	*age_s = listed.age_s;
	*takes_marks = listed.takes_marks;
	return map_find_text(records, name) ? SCOPE_FOUND : SCOPE_UNKNOWN;
}
