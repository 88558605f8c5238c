/* SPDX-License-Identifier: Apache-2.0 */
/* What devices and modules have in common over REST: reading, putting with a precondition, deleting, and the answers to what can go wrong. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

json_t *
rest_identity_json(struct rest *rest, const struct identity *identity)
{
	OWN_TEXT name = identity_name(identity->device_id, identity->module_id);
	json_t *json = identity_to_json(identity, directory_is_connected(rest->directory, name), true);
	size_t n = command_queue_count(rest->commands, identity->device_id, identity->module_id);

	json_object_set_new(json, "cloudToDeviceMessageCount", json_integer((json_int_t)n));
	return json;
}

json_t *
rest_identities_json(struct rest *rest, struct identity *const *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, rest_identity_json(rest, list[i]));
	return array;
}

static void
respond_identity(struct rest *rest, struct http_request *req, const struct identity *identity)
{
	OWN_TEXT etag = mem_textf("ETag: \"%s\"", identity->etag);
	const char *headers[] = { etag, NULL };

	http_respond_json(req, 200, headers, rest_identity_json(rest, identity));
}

static void
fail_missing(struct http_request *req, const char *device_id, const char *module_id)
{
	if (module_id)
		rest_fail(req, REST_MODULE_NOT_FOUND, "there is no module %s on device %s", module_id, device_id);
	else
		rest_fail(req, REST_DEVICE_NOT_FOUND, "there is no device %s", device_id);
}

void
rest_identity_get(struct rest *rest, struct http_request *req, const char *device_id, const char *module_id)
{
	OWN(identity) device = registry_find(rest->registry, device_id, NULL);
	OWN(identity) module = module_id ? registry_find(rest->registry, device_id, module_id) : NULL;

	if (!device)
		fail_missing(req, device_id, NULL);
	else if (module_id && !module)
		fail_missing(req, device_id, module_id);
	else
		respond_identity(rest, req, module_id ? module : device);
}

/* Which error that is; the sentence goes to text. */
enum rest_error
rest_identity_error(const struct registry_call *call, char text[REST_ERROR_TEXT_MAX])
{
	const char *device_id = call->device_id, *module_id = call->module_id;

#define SAY(...) snprintf(text, REST_ERROR_TEXT_MAX, __VA_ARGS__)
	switch (call->answer) {
	case REGISTRY_EXISTS:
		if (!module_id) {
			SAY("a device with ID '%s' is already registered", device_id);
			return REST_DEVICE_ALREADY_EXISTS;
		}
		SAY("module %s is already on device %s", module_id, device_id);
		return REST_MODULE_ALREADY_EXISTS_ON_DEVICE;
	case REGISTRY_NO_DEVICE:
		SAY("there is no device %s", device_id);
		return REST_DEVICE_NOT_FOUND;
	case REGISTRY_NO_MODULE:
		SAY("there is no module %s on device %s", module_id, device_id);
		return REST_MODULE_NOT_FOUND;
	case REGISTRY_WRONG_ETAG:
		SAY("the etag is not that of what is there");
		return REST_PRECONDITION_FAILED;
	case REGISTRY_TOO_MANY_MODULES:
		SAY("a device has at most %d modules", REGISTRY_MODULES_MAX);
		return REST_TOO_MANY_MODULES_ON_DEVICE;
	case REGISTRY_SYSTEM_MODULE:
		SAY("$edgeAgent and $edgeHub go with their device only");
		return REST_SYSTEM_MODULE_MODIFY_UNAUTHORIZED_ACCESS;
	case REGISTRY_BAD_SCOPE:
		SAY("the parent scope is not that of a gateway that can be above this device (at most %d gateways are above each "
		    "other)",
			REGISTRY_LEVELS_MAX);
		return REST_INVALID_DEVICE_SCOPE;
	case REGISTRY_INVALID:
		SAY("%s", call->err.text);
		return REST_ARGUMENT_INVALID;
	case REGISTRY_OK:
	case REGISTRY_FAILED:
		break;
	}
	log_error("registry: %s", call->err.text);
	SAY("the registry could not be written");
#undef SAY
	return call->err.kind == ERR_UNAVAILABLE ? REST_SERVICE_UNAVAILABLE : REST_SERVER_ERROR;
}

void
rest_identity_fail(struct rest_call *call)
{
	char text[REST_ERROR_TEXT_MAX];
	enum rest_error error = rest_identity_error(&call->registry, text);

	rest_fail_json(call->req, error, rest_error_json(error, text));
}

/* "\"AAA=\"" and "AAA=" are the same etag, "\"*\"" is "*" (hub 0.11). */
char *
rest_if_match(const struct http_request *req)
{
	const char *text = http_header(req, "If-Match");
	size_t len = text ? strlen(text) : 0;

	if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
		return mem_textn(text + 1, len - 2);
	return len > 0 ? mem_text(text) : NULL;
}

static json_t *
body_of(struct http_request *req, json_type type, const char *what)
{
	struct err err = ERR_INIT;
	size_t len;
	const void *data = http_body(req, &len);
	json_t *body = json_parse(data, len, &err);

	if (body && json_typeof(body) == type)
		return body;
	if (body)
		rest_fail(req, REST_DESERIALIZATION_ERROR, "the body is not a JSON %s", what);
	else
		rest_fail(req, REST_DESERIALIZATION_ERROR, "%s", err.text);
	json_decref(body);
	return NULL;
}

json_t *
rest_body(struct http_request *req)
{
	return body_of(req, JSON_OBJECT, "object");
}

json_t *
rest_body_array(struct http_request *req)
{
	return body_of(req, JSON_ARRAY, "array");
}

static void
answer_put(struct rest_call *call)
{
	if (call->registry.answer == REGISTRY_OK)
		respond_identity(call->rest, call->req, call->registry.found[0]);
	else
		rest_identity_fail(call);
	rest_call_free(call);
}

/* The ids of the body may be left out; where they are given they are those of the path. */
static bool
complete_ids(json_t *body, const char *const *ids, bool is_module)
{
	static const char *const names[2] = { "deviceId", "moduleId" };

	for (int i = 0; i < (is_module ? 2 : 1); i++) {
		const json_t *given = json_object_get(body, names[i]);

		if (given && !json_is_null(given) && !text_is(json_string_value(given), ids[i]))
			return false;
		json_object_set_new(body, names[i], json_string(ids[i]));
	}
	if (!is_module)
		json_object_del(body, "moduleId");
	return true;
}

void
rest_identity_put(struct rest *rest, struct http_request *req, const char *const *ids, bool is_module)
{
	OWN_LIB(json_t) body = rest_body(req);

	if (body)
		rest_identity_put_json(rest, req, ids, is_module, body);
}

void
rest_identity_put_json(struct rest *rest, struct http_request *req, const char *const *ids, bool is_module, json_t *body)
{
	struct identity *wanted;
	struct err err = ERR_INIT;
	struct rest_call *call;

	if (!complete_ids(body, ids, is_module)) {
		rest_fail(req, REST_ARGUMENT_INVALID, "the ids in the body are not those of the path");
		return;
	}
	wanted = identity_from_json(body, &err);
	if (!wanted) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return;
	}
	call = rest_call_new(rest, req, ids);
	call->registry.op = REGISTRY_PUT;
	call->registry.device_id = mem_text(ids[0]);
	call->registry.module_id = is_module ? mem_text(ids[1]) : NULL;
	call->registry.wanted = wanted;
	call->registry.keep_auth = !json_is_object(json_object_get(body, "authentication"));
	call->registry.if_match = rest_if_match(req);
	rest_call_submit(call, answer_put);
}

static void
answer_delete(struct rest_call *call)
{
	if (call->registry.answer == REGISTRY_OK)
		http_respond(call->req, 204, NULL, NULL, 0);
	else
		rest_identity_fail(call);
	rest_call_free(call);
}

void
rest_identity_delete(struct rest *rest, struct http_request *req, const char *const *ids, bool is_module)
{
	struct rest_call *call = rest_call_new(rest, req, ids);

	call->registry.op = REGISTRY_REMOVE;
	call->registry.device_id = mem_text(ids[0]);
	call->registry.module_id = is_module ? mem_text(ids[1]) : NULL;
	call->registry.if_match = rest_if_match(req);
	rest_call_submit(call, answer_delete);
}

void
rest_identity_answer_list(struct rest_call *call)
{
	if (call->registry.answer == REGISTRY_OK)
		http_respond_json(
			call->req, 200, NULL, rest_identities_json(call->rest, call->registry.found, call->registry.n_found));
	else
		rest_identity_fail(call);
	rest_call_free(call);
}
