/* SPDX-License-Identifier: Apache-2.0 */
/* The scope of gateways below this one, as the hub serves it (gateway 3.3): a list comes from the records at hand, which this gateway keeps up to date itself; about one device those above are asked,
 * because a gateway asks when what it knows no longer fits, and the records at hand are told when they are away.  The CAs that may speak for devices go along (our extension). */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/front/front_child.h"
#include "gateway/gauges/hub_presence.h"
#include "gateway/scope/scope_page.h"
#include "wire/codec.h"
#include "wire/json.h"

#define PAGE_MIN 500 /* more than the original's gateways ask for: theirs answers with all at once */
#define PAGE_MAX 1000
#define FRESH_S 2

struct question {
	char *after;	 /* of a list */
	char *module_id; /* NULL: about the device */
	int64_t max, since_ms;
	char *etag; /* of the list, as it was before it was read; NULL: it has none */
	bool is_flat;
	enum scope_answer answer;
	struct err err;
};

static struct question *
question_of(struct front_child *child)
{
	return child->state;
}

static void
clear(struct front_child *child)
{
	struct question *q = question_of(child);

	if (!q)
		return;
	mem_free(q->after);
	mem_free(q->etag);
	mem_free(q->module_id);
	mem_free(q);
}

static struct question *
question_new(struct front_child *child)
{
	struct question *q = NEW(question);

	child->state = q;
	q->max = PAGE_MIN;
	q->since_ms = clock_boot_ms();
	return q;
}

/* With its age, so that what is told from memory counts below no longer than here (our extension). */
static void
respond(struct front_child *child, int64_t age_s, json_t *devices, json_t *modules, json_t *link)
{
	OWN(authorities) cas = scope_cas(child->api->scope);
	OWN_TEXT etag = question_of(child)->etag ? mem_textf("ETag: \"%s\"", question_of(child)->etag) : NULL;
	OWN_TEXT hub = child->hears ? hub_news_line() : NULL;
	const char *headers[] = { etag ? etag : hub, etag ? hub : NULL, NULL };
	json_t *body = json_pack("{s:o, s:o, s:o, s:I}", "devices", devices, "modules", modules, "continuationLink", link,
		"confirmedSecondsAgo", (json_int_t)age_s);

	if (scope_takes_marks(child->api->scope))
		json_object_set_new(body, "takesMessageMarks", json_true());
	if (cas)
		json_object_set_new(body, "certificateAuthorities", authorities_to_json(cas));
	http_respond_json(child->req, 200, headers, body);
}

static json_t *
list_json(struct identity *const *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, identity_to_json(list[i], false, true));
	return array;
}

/* -- A page -------------------------------------------------------------------------------------------------------------------------------- */

/* The flat API's link is a path, the nested one's is only given back to us. */
static json_t *
link_onward(const struct front_child *child, const struct question *q, const char *next)
{
	CLEAR(buf) link = BUF_INIT(4096);

	if (!next)
		return json_null();
	if (!q->is_flat)
		return json_string(next);
	buf_puts(&link, "/devices/");
	percent_encode(&link, child->actor_id, strlen(child->actor_id));
	buf_putf(&link,
		"/modules/%%24edgeHub/devicesAndModulesInDeviceScope?deviceCount=%lld&continuationToken=", (long long)q->max);
	percent_encode(&link, next, strlen(next));
	buf_puts(&link, "&api-version=2018-08-30-preview");
	return json_string(buf_text(&link));
}

/* It would be asked in vain, for longer than the gateway below waits for us; the refresher finds out when it is back, and those below hear it. */
static bool
is_hub_away(const struct scope *scope)
{
	return scope_is_hub_away(scope) || hub_presence().reach == HUB_AWAY;
}

/* Where those above know differences it costs little to be up to date; and of a gateway that came since the last look only single devices may be known. */
static void
run_list(struct front_child *child)
{
	struct question *q = question_of(child);
	struct scope *scope = child->api->scope;

	if (!scope_is_below(scope, child->device_id, child->actor_id))
		scope_look_up(scope, child->device_id, NULL, q->since_ms, &q->err);
	if (!is_hub_away(scope) && !scope_is_listed(scope, child->device_id, scope_is_by_difference(scope) ? q->since_ms : 0))
		scope_refresh(scope, &q->err);
}

/* Another one after each change of what this gateway knows, for all of it or not. */
static char *
etag_of(const struct scope *scope)
{
	return mem_textf("%llx-%llx", (unsigned long long)scope_run(scope), (unsigned long long)scope_epoch(scope));
}

/* true: answered; who asks has it as it is.  It counts from now on there, so what is told from memory is told with its age instead. */
static bool
answer_unchanged(struct front_child *child, const struct question *q, int64_t age_s)
{
	const char *known = http_header(child->req, "If-None-Match");
	OWN_TEXT quoted = mem_textf("\"%s\"", q->etag);
	OWN_TEXT header = mem_textf("ETag: %s", quoted);
	OWN_TEXT hub = child->hears ? hub_news_line() : NULL;
	const char *headers[] = { header, hub, NULL };

	if (age_s > FRESH_S || !known || !text_is(known, quoted))
		return false;
	http_respond(child->req, 304, headers, NULL, 0);
	return true;
}

static void
answer_list(struct front_child *child)
{
	struct question *q = question_of(child);
	CLEAR(scope_page) page = { 0 };

	if (!front_child_check_below(child))
		return;
	q->etag = q->after ? NULL : etag_of(child->api->scope);
	scope_page_read(&page, child->api->scope, child->device_id, q->after, (size_t)q->max);
	if (q->etag && answer_unchanged(child, q, page.age_s))
		return;
	respond(child, page.age_s, list_json(page.devices, page.n_devices), list_json(page.modules, page.n_modules),
		link_onward(child, q, page.next));
}

static bool
read_list(struct front_child *child)
{
	struct question *q = question_new(child);
	struct err err = ERR_INIT;
	const char *after = NULL;
	int64_t asked = q->max;

	if (!front_child_read_chain(child))
		return false;
	if (json_find_text(child->body, "continuationLink", &after, &err) < 0 ||
		json_find_int(child->body, "pageSize", &asked, &err) < 0 ||
		(asked < 1 && err_set(&err, ERR_INVALID, "pageSize must be 1 at least") < 0)) {
		front_fail(child->req, 400, "ArgumentInvalid", "%s", err.text);
		return false;
	}
	q->after = mem_text(after);
	q->max = asked < PAGE_MIN ? PAGE_MIN : asked < PAGE_MAX ? asked : PAGE_MAX;
	return true;
}

static bool
read_list_flat(struct front_child *child)
{
	struct question *q = question_new(child);
	const char *count = http_query(child->req, "deviceCount");

	q->is_flat = true;
	q->after = mem_text(http_query(child->req, "continuationToken"));
	child->device_id = mem_text(child->actor_id);
	if (!count || text_to_i64(count, 1, PAGE_MAX, &q->max))
		return true;
	front_fail(child->req, 400, "DeviceInvalidResultCount", "deviceCount must be a number from 1 to %d", PAGE_MAX);
	return false;
}

/* -- One of it ----------------------------------------------------------------------------------------------------------------------------- */

static void
run_get(struct front_child *child)
{
	struct question *q = question_of(child);

	q->answer = scope_look_up(child->api->scope, child->device_id, q->module_id, q->since_ms, &q->err);
}

static void
fail_unknown(struct front_child *child, const struct question *q)
{
	front_fail(child->req, 404, q->module_id ? "ModuleNotFound" : "DeviceNotFound", "there is no %s%s%s", child->device_id,
		q->module_id ? "/" : "", q->module_id ? q->module_id : "");
}

static void
respond_one(struct front_child *child, const struct question *q)
{
	struct scope *scope = child->api->scope;
	struct confirmation of_device = { 0 }, confirmed = { 0 };
	OWN(identity) device = scope_find_aged(scope, child->device_id, NULL, &of_device);
	OWN(identity) module = q->module_id ? scope_find_aged(scope, child->device_id, q->module_id, &confirmed) : NULL;
	int64_t age_s = confirmation_age_s(module ? &confirmed : &of_device, clock_wall(), clock_boot_ms());

	if (device && (module || !q->module_id))
		respond(child, age_s, list_json(&device, 1), list_json(&module, module ? 1 : 0), json_null());
	else
		fail_unknown(child, q);
}

/* What was made since it was found to be unknown is not looked at: nobody has asked whose it is. */
static void
answer_get(struct front_child *child)
{
	const struct question *q = question_of(child);
	int64_t confirmed;
	OWN(identity) known = scope_find(child->api->scope, child->device_id, q->module_id, &confirmed);

	if (q->answer == SCOPE_NO_ANSWER && !known)
		front_fail(child->req, 503, "ServiceUnavailable", "nobody above can be asked: %s", q->err.text);
	else if (q->answer == SCOPE_UNKNOWN)
		fail_unknown(child, q);
	else if (front_child_check_below(child))
		respond_one(child, q);
}

static bool
take_ids(struct front_child *child, const char *device_id, const char *module_id)
{
	struct question *q = question_of(child);

	q->module_id = module_id && *module_id ? mem_text(module_id) : NULL;
	if (identity_id_is_valid(device_id ? device_id : "") && (!q->module_id || identity_id_is_valid(q->module_id)) &&
		text_is(device_id, child->device_id))
		return true;
	front_fail(child->req, 400, "ArgumentInvalid",
		"targetDeviceId and targetModuleId must be ids, and the device that with which the authChain begins");
	return false;
}

static bool
read_get(struct front_child *child)
{
	const char *device_id = NULL, *module_id = NULL;
	struct err err = ERR_INIT;

	question_new(child);
	if (!front_child_read_chain(child))
		return false;
	if (json_get_text(child->body, "targetDeviceId", &device_id, &err) == 0 &&
		json_find_text(child->body, "targetModuleId", &module_id, &err) == 0)
		return take_ids(child, device_id, module_id);
	front_fail(child->req, 400, "ArgumentInvalid", "%s", err.text);
	return false;
}

static bool
read_get_flat(struct front_child *child)
{
	question_new(child);
	child->device_id = mem_text(http_query(child->req, "targetDeviceId"));
	return take_ids(child, child->device_id, http_query(child->req, "targetModuleId"));
}

/* -- The routes ---------------------------------------------------------------------------------------------------------------------------- */

static const struct front_child_ops lists = { read_list, run_list, answer_list, clear };
static const struct front_child_ops flat_lists = { read_list_flat, run_list, answer_list, clear };
static const struct front_child_ops gets = { read_get, run_get, answer_get, clear };
static const struct front_child_ops flat_gets = { read_get_flat, run_get, answer_get, clear };

static void
list(const struct front_api *api, struct http_request *req, const char *const *ids)
{
	front_child_take(api, req, ids, &lists);
}

static void
list_flat(const struct front_api *api, struct http_request *req, const char *const *ids)
{
	front_child_take(api, req, ids, &flat_lists);
}

static void
get(const struct front_api *api, struct http_request *req, const char *const *ids)
{
	front_child_take(api, req, ids, &gets);
}

static void
get_flat(const struct front_api *api, struct http_request *req, const char *const *ids)
{
	front_child_take(api, req, ids, &flat_gets);
}

const struct front_route front_scope_routes[] = {
	{ "POST", "devices/*/modules/*/devicesAndModulesInTargetDeviceScope", list },
	{ "POST", "devices/*/modules/*/getDeviceAndModuleOnBehalfOf", get },
	{ "GET", "devices/*/modules/*/devicesAndModulesInDeviceScope", list_flat },
	{ "GET", "devices/*/modules/*/deviceAndModuleInDeviceScope", get_flat },
	{ 0 },
};
