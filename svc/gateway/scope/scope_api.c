/* SPDX-License-Identifier: Apache-2.0 */
/* The nested form of the scope API, which gives the gateway its own device's modules too.  An answer about the gateway's own credentials (401) is never
 * taken for one about a device: the original forgets healthy devices that way (gateway 3.3). */
#include "gateway/scope/scope_api.h"

#include <string.h>

#include "auth/identity.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/scope/lineage.h"
#include "net/http_client.h"
#include "wire/json.h"

#define VERSION "api-version=2020-06-30-preview"
#define PAGE_SIZE 500
#define PAGES_MAX 20000
#define GATEWAYS_MAX 1000
#define LIST_WITHIN_MS 20000
#define GET_WITHIN_MS 10000 /* a device waits for it, and no longer than the heads let it */
#define HTTP_FORBIDDEN 403
#define HTTP_NOT_FOUND 404

/* *refusal is the status of a refusal that says its code, as a hub does; 0 when there was none, or something on the way refused. */
static json_t *
ask(struct upstream *u, const char *operation, json_t *body_take, int64_t within_ms, int *refusal, struct err *err)
{
	const struct upstream_config *c = upstream_config(u);
	OWN_LIB(json_t) body = body_take;
	OWN_TEXT url = mem_textf("https://%s:%d/devices/%s/modules/%s/%s?" VERSION, c->parent_host ? c->parent_host : c->hub_host,
		c->https_port, c->edge_id, c->workload.module_id, operation);
	int64_t expires;
	char *token = upstream_token(u, &expires, err);
	char *authorization = token ? mem_textf("Authorization: %s", token) : NULL;
	const char *headers[] = { authorization, NULL };
	struct http_call call = {
		.method = "POST",
		.url = url,
		.connect_to = c->hub_address,
		.headers = headers,
		.anchors = upstream_anchors(u),
		.who = "gateway",
		.timeout_ms = within_ms,
		.cancelled = upstream_stopping(u),
	};
	struct http_answer answer = { 0 };
	json_t *json = NULL;

	if (token && http_fetch_json(&json, &answer, &call, body, err) == 0 && !json)
		err_set(err, ERR_INVALID, "the hub sent an empty answer");
	if (answer.verdict)
		upstream_judged(u, answer.verdict);
	*refusal = answer.error_code ? answer.status : 0;
	http_answer_clear(&answer);
	upstream_token_free(authorization);
	upstream_token_free(token);
	return json;
}

/* A record that can't be read is left out and said so: one bad record must not lock out the rest. */
static void
take_records(struct map *into, const json_t *list, bool *complete)
{
	json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, item) {
		struct err err = ERR_INIT;
		struct identity *identity = identity_from_json(item, &err);

		if (identity) {
			OWN_TEXT name = identity_name(identity->device_id, identity->module_id);

			identity_free(map_put_text(into, name, identity));
		} else {
			log_warn("the hub sent a record that can't be read: %s", err.text);
			*complete = false;
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

/* Both lists are there, if only as null: what answers otherwise is not a hub. */
static int
take_answer(struct map *into, const json_t *answer, bool *complete, struct err *err)
{
	static const char *const lists[] = { "devices", "modules" };

	for (size_t i = 0; i < COUNT(lists); i++) {
		json_t *list = json_object_get(answer, lists[i]);

		if (!json_is_array(list) && !json_is_null(list))
			return err_set(err, ERR_INVALID, "the hub's answer has no list of %s", lists[i]);
		take_records(into, list, complete);
	}
	return 0;
}

/* -- All of the scope: our own, and then that of each gateway found in it, and so on --------------------------------------------------------- */

struct tour {
	struct upstream *upstream;
	struct map *records;
	struct authorities **cas;
	char *chains[GATEWAYS_MAX]; /* "gateway;...;we": to be asked for, or asked for already */
	size_t n_chains;
	bool *complete;
};

static bool
is_known(const struct tour *t, const char *device_id)
{
	for (size_t i = 0; i < t->n_chains; i++)
		if (strncmp(t->chains[i], device_id, strcspn(t->chains[i], ";")) == 0 &&
			strlen(device_id) == strcspn(t->chains[i], ";"))
			return true;
	return false;
}

static size_t
n_gateways(const char *chain)
{
	size_t n = 1;

	while ((chain = strchr(chain, ';')) != NULL) {
		chain++;
		n++;
	}
	return n;
}

static void
visit_later(struct tour *t, const json_t *item, const char *above)
{
	const char *device_id = json_string_value(json_object_get(item, "deviceId"));

	if (!json_is_true(json_object_get(json_object_get(item, "capabilities"), "iotEdge")) || !device_id ||
		!identity_id_is_valid(device_id) || is_known(t, device_id) || n_gateways(above) >= LINEAGE_GATEWAYS_MAX)
		return;
	if (t->n_chains == GATEWAYS_MAX) {
		log_warn("more than %d gateways are below this one: those that come then are left out", GATEWAYS_MAX);
		*t->complete = false;
		return;
	}
	t->chains[t->n_chains++] = mem_textf("%s;%s", device_id, above);
}

static void
visit_children_later(struct tour *t, const json_t *page, const char *chain)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(page, "devices"), i, item)
		visit_later(t, item, chain);
}

static int
list_one(struct tour *t, const char *chain, int *refusal, struct err *err)
{
	OWN_TEXT link = NULL;

	for (int i = 0; i < PAGES_MAX; i++) {
		json_t *body = json_pack("{s:i, s:s, s:s?}", "pageSize", PAGE_SIZE, "authChain", chain, "continuationLink", link);
		OWN_LIB(json_t)
		page = ask(t->upstream, "devicesAndModulesInTargetDeviceScope", body, LIST_WITHIN_MS, refusal, err);
		const char *next = NULL;

		if (!page || json_find_text(page, "continuationLink", &next, err) < 0 ||
			take_answer(t->records, page, t->complete, err) < 0)
			return err_wrap(err, "the devices of this gateway");
		take_cas(t->cas, page);
		visit_children_later(t, page, chain);
		if (!next || !*next)
			return 0;
		mem_free(link);
		link = mem_text(next);
	}
	return err_set(err, ERR_LIMIT, "the hub's list of this gateway's devices has no end");
}

/* A gateway below that is gone by now, or is no longer below, says nothing about the others. */
static int
list_below(struct tour *t, const char *chain, struct err *err)
{
	struct err why = ERR_INIT;
	int refusal = 0;

	if (list_one(t, chain, &refusal, &why) == 0)
		return 0;
	if (refusal != HTTP_FORBIDDEN && refusal != HTTP_NOT_FOUND) {
		*err = why;
		return -1;
	}
	*t->complete = false;
	return 0;
}

int
scope_api_list(struct upstream *u, struct map *records, struct authorities **cas, bool *complete, struct err *err)
{
	struct tour t = { .upstream = u, .records = records, .cas = cas, .complete = complete, .n_chains = 1 };
	int refusal, done;

	*complete = true;
	t.chains[0] = mem_text(upstream_config(u)->edge_id);
	done = list_one(&t, t.chains[0], &refusal, err);
	for (size_t i = 1; done == 0 && i < t.n_chains; i++)
		done = list_below(&t, t.chains[i], err);
	for (size_t i = 0; i < t.n_chains; i++)
		mem_free(t.chains[i]);
	return done;
}

/* -- One of it ----------------------------------------------------------------------------------------------------------------------------- */

enum scope_answer
scope_api_get(struct upstream *u, const char *device_id, const char *module_id, struct map *records, struct authorities **cas,
	struct err *err)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	OWN_TEXT chain = mem_textf("%s;%s", name, upstream_config(u)->edge_id);
	json_t *body = json_pack("{s:s, s:s, s:s?}", "authChain", chain, "targetDeviceId", device_id, "targetModuleId", module_id);
	bool complete = true;
	int refusal;
	OWN_LIB(json_t) answer = ask(u, "getDeviceAndModuleOnBehalfOf", body, GET_WITHIN_MS, &refusal, err);

	if (answer) {
		if (take_answer(records, answer, &complete, err) < 0 || !complete)
			return SCOPE_NO_ANSWER;
		take_cas(cas, answer);
		return map_find_text(records, name) ? SCOPE_FOUND : SCOPE_UNKNOWN;
	}
	if (refusal == HTTP_FORBIDDEN)
		return SCOPE_NOT_BELOW;
	return refusal == HTTP_NOT_FOUND ? SCOPE_UNKNOWN : SCOPE_NO_ANSWER;
}
