/* SPDX-License-Identifier: Apache-2.0 */
/* Modules of devices below this gateway, in the hub's registry (gateway 6): the identity service of an edge device below asks its parent as it would the hub, with the device's own credential, and a
 * gateway below passes on what it is asked itself.  It is all passed on above, on behalf of the device, and what is answered there is the answer.
 *
 * That nobody above can be reached, or that this gateway itself is refused there, is 500: callers take that for a network that is away and go on with what they have kept, where 401 would
 * make them believe that they are no longer wanted. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/front/front_child.h"
#include "gateway/gauges/hub_throttle.h"
#include "gateway/upstream/upstream_call.h"
#include "wire/json.h"

#define WITHIN_MS 20000

struct operation {
	const char *method, *name;
	bool changes;
};
static const struct operation get_module = { "POST", "getModuleOnBehalfOf", .changes = false };
static const struct operation list_modules = { "POST", "getModulesOnTargetDevice", .changes = false };
static const struct operation put_module = { "PUT", "putModuleOnBehalfOf", .changes = true };
static const struct operation delete_module = { "POST", "deleteModuleOnBehalfOf", .changes = true };

struct errand {
	const struct operation *operation;
	json_t *body; /* without the chain */
	char *match;  /* the line "If-Match: ...", or NULL */
	struct http_answer answer;
	bool is_below, is_answered, is_away;
	int64_t put_off_ms; /* those above asked to be left alone for so long yet */
	struct err err;
};

static struct errand *
errand_of(struct front_child *child)
{
	return child->state;
}

static void
clear(struct front_child *child)
{
	struct errand *e = errand_of(child);

	if (!e)
		return;
	json_decref(e->body);
	mem_free(e->match);
	http_answer_clear(&e->answer);
	mem_free(e);
}

static bool
errand_begin(struct front_child *child, const struct operation *operation, json_t *body_take)
{
	struct errand *e = NEW(errand);
	const char *match = http_header(child->req, "if-match");

	child->state = e;
	e->operation = operation;
	e->body = body_take;
	e->match = match && !text_has_control(match, strlen(match)) ? mem_textf("If-Match: %s", match) : NULL;
	return true;
}

/* -- On the way ---------------------------------------------------------------------------------------------------------------------------- */

/* Also about a device that only those above know so far. */
static char *
chain_of(struct front_child *child)
{
	struct scope *scope = child->api->scope;
	struct err ignored = ERR_INIT;

	if (!scope_is_reached(scope, child->device_id, child->actor_id))
		scope_look_up(scope, child->device_id, NULL, clock_boot_ms(), &ignored);
	if (!scope_is_reached(scope, child->device_id, child->actor_id))
		return NULL;
	return scope_chain(scope, child->device_id, NULL);
}

/* A module that is made or changed through here is known here before its maker hears of it: the gateway below comes with its new key at once. */
static void
learn(struct front_child *child, const struct errand *e)
{
	const json_t *module = json_object_get(e->body, "module");
	const char *module_id = json_string_value(json_object_get(module ? module : e->body, "moduleId"));
	struct err ignored = ERR_INIT;

	if (!module_id || e->answer.status / 100 != 2)
		return;
	scope_note_answer(child->api->scope);
	scope_look_up(child->api->scope, child->device_id, module_id, clock_boot_ms(), &ignored);
}

/* Nobody above was there, or willing, a moment ago: who asks hears it at once, and does not keep others waiting. */
static bool
is_hopeless(struct front_child *child)
{
	struct errand *e = errand_of(child);

	e->put_off_ms = hub_throttle_calls_ms();
	e->is_away = e->put_off_ms == 0 && scope_is_hub_away(child->api->scope);
	if (e->is_away)
		err_set(&e->err, ERR_UNAVAILABLE, "they gave no answer to another question a moment ago");
	return e->is_away || e->put_off_ms > 0;
}

static void
run(struct front_child *child)
{
	struct errand *e = errand_of(child);
	OWN_TEXT chain = NULL;
	struct upstream_call call = { .method = e->operation->method,
		.operation = e->operation->name,
		.body = e->body,
		.header = e->match,
		.within_ms = WITHIN_MS,
		.changes = e->operation->changes };

	if (is_hopeless(child))
		return;
	chain = chain_of(child);
	e->is_below = chain != NULL;
	if (!chain)
		return;
	json_object_set_new(e->body, "authChain", json_string(chain));
	e->is_answered = upstream_fetch(&e->answer, child->api->upstream, &call, &e->err) == 0;
	if (e->is_answered && e->answer.status == 429)
		e->put_off_ms = hub_throttle_calls_ms() + 1;
	else if (e->is_answered)
		learn(child, e);
}

/* -- The answer ---------------------------------------------------------------------------------------------------------------------------- */

static void
pass_on(struct http_request *req, const struct http_answer *answer)
{
	OWN_TEXT type = answer->content_type ? mem_textf("Content-Type: %s", answer->content_type) : NULL;
	OWN_TEXT etag = answer->etag ? mem_textf("ETag: %s", answer->etag) : NULL;
	OWN_TEXT code = answer->error_code ? mem_textf("iothub-errorcode: %s", answer->error_code) : NULL;
	const char *headers[4] = { 0 }, *all[] = { type, etag, code };
	size_t n = 0;

	for (size_t i = 0; i < COUNT(all); i++)
		if (all[i])
			headers[n++] = all[i];
	http_respond(req, answer->status, headers, answer->body.data, answer->body.len);
}

static void
answer(struct front_child *child)
{
	const struct errand *e = errand_of(child);

	if (e->put_off_ms > 0) {
		front_fail_for_now(child->req, (e->put_off_ms + 999) / 1000, "those above have too much to do");
		return;
	}
	if (!e->is_below && !e->is_away) {
		front_fail(child->req, 403, "IotHubUnauthorizedAccess",
			"%s is not below %s, or a gateway between is disabled, or there are too many", child->device_id,
			child->actor_id);
		return;
	}
	if (e->is_answered && e->answer.status != 401 && e->answer.status < 500) {
		pass_on(child->req, &e->answer);
		return;
	}
	log_warn("%s asked for %s of %s: %s", child->actor_id, e->operation->name, child->device_id,
		!e->is_answered		  ? e->err.text
		: e->answer.status == 401 ? "those above refuse this gateway itself"
					  : "those above are in trouble");
	front_fail(child->req, 500, "ServerError", "%s",
		!e->is_answered ? "those above can't be reached" : "those above gave no answer about that");
}

/* -- The device itself about its modules ---------------------------------------------------------------------------------------------------- */

static const char *
own_module_id(const struct front_child *child)
{
	return http_segment(child->req, 3);
}

static bool
check_version(struct front_child *child)
{
	if (http_query(child->req, "api-version"))
		return true;
	front_fail(child->req, 400, "InvalidProtocolVersion", "the api-version is missing");
	return false;
}

static bool
read_own_get(struct front_child *child)
{
	return errand_begin(child, &get_module, json_pack("{s:s}", "targetModuleId", own_module_id(child)));
}

static bool
read_own_list(struct front_child *child)
{
	return check_version(child) && errand_begin(child, &list_modules, json_object());
}

static bool
read_own_delete(struct front_child *child)
{
	return errand_begin(child, &delete_module, json_pack("{s:s}", "moduleId", own_module_id(child)));
}

/* Whose module it is, the path says. */
static bool
read_own_put(struct front_child *child)
{
	struct err err = ERR_INIT;
	size_t len;
	const char *text = http_body(child->req, &len);
	json_t *module = json_parse(text, len, &err);
	const char *device_id = json_string_value(json_object_get(module, "deviceId"));
	const char *module_id = json_string_value(json_object_get(module, "moduleId"));

	if (json_is_object(module) && (!device_id || text_is(device_id, child->device_id)) &&
		(!module_id || text_is(module_id, own_module_id(child)))) {
		json_object_set_new(module, "deviceId", json_string(child->device_id));
		json_object_set_new(module, "moduleId", json_string(own_module_id(child)));
		return errand_begin(child, &put_module, json_pack("{s:o}", "module", module));
	}
	json_decref(module);
	front_fail(child->req, 400, "ArgumentInvalid", "%s",
		err.kind != ERR_NONE ? err.text : "the module is another than that of the path");
	return false;
}

/* -- A gateway about modules of devices below it ---------------------------------------------------------------------------------------------- */

/* The original's own callers name it in two ways. */
static const char *
named_module_id(const struct front_child *child)
{
	const char *id = json_string_value(json_object_get(child->body, "targetModuleId"));

	return id ? id : json_string_value(json_object_get(child->body, "moduleId"));
}

static bool
read_named(struct front_child *child, const struct operation *operation, const char *name)
{
	const char *id;

	if (!front_child_read_chain(child))
		return false;
	id = named_module_id(child);
	if (id && identity_id_is_valid(id))
		return errand_begin(child, operation, json_pack("{s:s}", name, id));
	front_fail(child->req, 400, "ArgumentInvalid", "%s must be an id", name);
	return false;
}

static bool
read_get(struct front_child *child)
{
	return read_named(child, &get_module, "targetModuleId");
}

static bool
read_delete(struct front_child *child)
{
	return read_named(child, &delete_module, "moduleId");
}

static bool
read_list(struct front_child *child)
{
	return front_child_read_chain(child) && errand_begin(child, &list_modules, json_object());
}

static bool
read_put(struct front_child *child)
{
	json_t *module;
	const char *id, *device_id;

	if (!front_child_read_chain(child))
		return false;
	module = json_object_get(child->body, "module");
	id = json_string_value(json_object_get(module, "moduleId"));
	device_id = json_string_value(json_object_get(module, "deviceId"));
	if (id && identity_id_is_valid(id) && (!device_id || text_is(device_id, child->device_id)))
		return errand_begin(child, &put_module, json_pack("{s:O}", "module", module));
	front_fail(child->req, 400, "ArgumentInvalid",
		"module must have a moduleId, and be of the device with which the authChain begins");
	return false;
}

/* -- The routes ---------------------------------------------------------------------------------------------------------------------------- */

#define ERRAND(name, take)                                                                                                         \
	static void name(const struct front_api *api, struct http_request *req, const char *const *ids)                            \
	{                                                                                                                          \
		static const struct front_child_ops ops = { read_##name, run, answer, clear };                                     \
                                                                                                                                   \
		take(api, req, ids, &ops);                                                                                         \
	}

ERRAND(own_get, front_child_take_device)
ERRAND(own_list, front_child_take_device)
ERRAND(own_put, front_child_take_device)
ERRAND(own_delete, front_child_take_device)
ERRAND(get, front_child_take)
ERRAND(list, front_child_take)
ERRAND(put, front_child_take)
ERRAND(delete, front_child_take)

const struct front_route front_registry_routes[] = {
	{ "GET", "devices/*/modules", own_list },
	{ "GET", "devices/*/modules/*", own_get },
	{ "PUT", "devices/*/modules/*", own_put },
	{ "DELETE", "devices/*/modules/*", own_delete },
	{ "POST", "devices/*/modules/*/getModuleOnBehalfOf", get },
	{ "POST", "devices/*/modules/*/getModulesOnTargetDevice", list },
	{ "POST", "devices/*/modules/*/putModuleOnBehalfOf", put },
	{ "PUT", "devices/*/modules/*/putModuleOnBehalfOf", put },
	{ "POST", "devices/*/modules/*/deleteModuleOnBehalfOf", delete },
	{ 0 },
};
