/* SPDX-License-Identifier: Apache-2.0 */
/* Many devices and modules in one request (hub 4.4): POST /devices, whose items each say what is to be done, and new keys.  A request is one transaction;
 * an item that is refused is told of in the answer and leaves the others alone. */
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

#define ITEMS_MAX 100

/* -- Reading the items --------------------------------------------------------------------------------------------------------------- */

/* id and moduleId: what every item has. */
static int
take_ids(struct registry_call *item, const json_t *json, struct err *err)
{
	const char *id, *module;

	if (!json_is_object(json))
		return err_set(err, ERR_INVALID, "an item is not an object");
	if (json_get_text(json, "id", &id, err) < 0 || json_find_text(json, "moduleId", &module, err) < 0)
		return -1;
	if (!identity_id_is_valid(id) || (module && *module && !identity_id_is_valid(module)))
		return err_set(err, ERR_INVALID,
			"id and moduleId have 1 to %d characters: ASCII letters, digits and -:.+%%_#*?!(),=@;$'", IDENTITY_ID_MAX);
	item->device_id = mem_text(id);
	item->module_id = module && *module ? mem_text(module) : NULL;
	return 0;
}

/* false: answered. */
static bool
take_items(struct registry_call *call, struct http_request *req, const json_t *list)
{
	size_t n = json_array_size(list);
	struct err err = ERR_INIT;

	if (n > ITEMS_MAX) {
		rest_fail(req, REST_TOO_MANY_DEVICES, "there are more than %d items", ITEMS_MAX);
		return false;
	}
	call->op = REGISTRY_BULK;
	call->items = mem_array(n > 0 ? n : 1, sizeof(*call->items));
	for (; call->n_items < n; call->n_items++)
		if (take_ids(&call->items[call->n_items], json_array_get(list, call->n_items), &err) < 0) {
			rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
			return false;
		}
	if (n > 0)
		return true;
	rest_fail(req, REST_ARGUMENT_INVALID, "there are no items");
	return false;
}

/* false: answered. */
static bool
check_names(const struct registry_call *call, struct http_request *req)
{
	struct map *seen = map_new();
	bool twice = false;

	for (size_t i = 0; i < call->n_items && !twice; i++) {
		OWN_TEXT name = identity_name(call->items[i].device_id, call->items[i].module_id);

		twice = map_put_text(seen, name, &call->items[i]) != NULL;
		if (twice)
			rest_fail(req, REST_DEVICE_DEFINED_MULTIPLE_TIMES, "%s is there more than once", name);
	}
	map_free(seen);
	return !twice;
}

/* -- POST /devices --------------------------------------------------------------------------------------------------------------------- */

enum match { MATCH_NOTHING, MATCH_ANY, MATCH_ETAG };

static const struct mode {
	const char *name; /* in any case */
	enum registry_op op;
	enum match match;
} modes[] = {
	{ "create", REGISTRY_PUT, MATCH_NOTHING },
	{ "update", REGISTRY_PUT, MATCH_ANY },
	{ "updateIfMatchETag", REGISTRY_PUT, MATCH_ETAG },
	{ "delete", REGISTRY_REMOVE, MATCH_ANY },
	{ "deleteIfMatchETag", REGISTRY_REMOVE, MATCH_ETAG },
};

static const struct mode *
find_mode(const char *name)
{
	for (size_t i = 0; i < COUNT(modes); i++)
		if (text_is_nocase(name, modes[i].name))
			return &modes[i];
	return NULL;
}

static int
take_match(struct registry_call *item, const json_t *json, enum match match, struct err *err)
{
	const char *etag = NULL;

	if (match == MATCH_ANY)
		item->if_match = mem_text("*");
	if (match != MATCH_ETAG)
		return 0;
	if (json_find_text(json, "eTag", &etag, err) < 0 || (!etag && json_find_text(json, "etag", &etag, err) < 0))
		return -1;
	if (!etag || !*etag)
		return err_set(err, ERR_INVALID, "the item has no eTag to compare");
	item->if_match = mem_text(etag);
	return 0;
}

/* An update's twin is no business of it, but must be one. */
static int
take_twin(struct registry_call *item, const json_t *json, struct err *err)
{
	if (registry_call_read_twin(item, json, err) < 0)
		return -1;
	if (item->if_match) {
		json_decref(item->twin);
		item->twin = NULL;
	}
	return 0;
}

static int
take_wanted(struct registry_call *item, json_t *json, struct err *err)
{
	json_object_set_new(json, "deviceId", json_string(item->device_id));
	item->keep_auth = !json_is_object(json_object_get(json, "authentication"));
	item->wanted = identity_from_json(json, err);
	return item->wanted ? take_twin(item, json, err) : -1;
}

static int
take_change(struct registry_call *item, json_t *json, struct err *err)
{
	const char *name = NULL;
	const struct mode *mode;

	if (json_find_text(json, "importMode", &name, err) < 0)
		return -1;
	mode = find_mode(name ? name : "create");
	if (!mode)
		return err_set(err, ERR_INVALID, "importMode '%.40s' is not known", name);
	item->op = mode->op;
	if (take_match(item, json, mode->match, err) < 0)
		return -1;
	return item->op == REGISTRY_PUT ? take_wanted(item, json, err) : 0;
}

static json_t *
error_json(const struct registry_call *item, const json_t *sent)
{
	const char *operation = json_string_value(json_object_get(sent, "importMode"));
	char text[REST_ERROR_TEXT_MAX];
	enum rest_error error = rest_identity_error(item, text);

	text_repair_utf8(text);
	return json_pack("{s:s, s:s?, s:s, s:s, s:s}", "deviceId", item->device_id, "moduleId", item->module_id, "errorCode",
		rest_error_row(error)->name, "errorStatus", text, "operation", operation ? operation : "create");
}

static void
respond_changes(struct rest_call *call)
{
	json_t *errors = json_array(), *body, *error;
	char text[] = "some items were refused";

	for (size_t i = 0; i < call->registry.n_items; i++) {
		const struct registry_call *item = &call->registry.items[i];

		if (item->answer != REGISTRY_OK)
			json_array_append_new(errors, error_json(item, json_array_get(call->body, i)));
	}
	body = json_pack("{s:b, s:o, s:[]}", "isSuccessful", json_array_size(errors) == 0, "errors", errors, "warnings");
	if (json_array_size(errors) == 0) {
		http_respond_json(call->req, 200, NULL, body);
		return;
	}
	error = rest_error_json(REST_BULK_REGISTRY_OPERATION_FAILURE, text);
	json_object_update(body, error);
	json_decref(error);
	rest_fail_json(call->req, REST_BULK_REGISTRY_OPERATION_FAILURE, body);
}

static void
answer_changes(struct rest_call *call)
{
	if (call->registry.answer == REGISTRY_OK)
		respond_changes(call);
	else
		rest_identity_fail(call);
	rest_call_free(call);
}

static void
post_devices(struct rest *rest, struct http_request *req, const char *const *ids)
{
	json_t *body = rest_body_array(req);
	struct rest_call *call;

	if (!body)
		return;
	call = rest_call_new(rest, req, ids);
	call->body = body;
	if (!take_items(&call->registry, req, body) || !check_names(&call->registry, req)) {
		rest_call_free(call);
		return;
	}
	for (size_t i = 0; i < call->registry.n_items; i++) {
		struct registry_call *item = &call->registry.items[i];

		if (take_change(item, json_array_get(body, i), &item->err) < 0)
			item->answer = REGISTRY_INVALID;
	}
	rest_call_submit(call, answer_changes);
}

/* -- POST /devices/keys/regenerate ----------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned slots;
} policy_keys[] = { { "primaryKey", 1 }, { "secondaryKey", 2 }, { "both", 3 } };

static unsigned
find_slots(const char *name)
{
	for (size_t i = 0; i < COUNT(policy_keys); i++)
		if (text_is_nocase(name, policy_keys[i].name))
			return policy_keys[i].slots;
	return 0;
}

static json_t *
rotated_json(const struct rest_call *call, const struct registry_call *item)
{
	OWN_LIB(json_t) device = rest_identity_json(call->rest, item->found[0]);
	json_t *keys = json_object_get(json_object_get(device, "authentication"), "symmetricKey");

	return json_pack("{s:s, s:s?, s:O, s:O}", "id", item->device_id, "moduleId", item->module_id, "primaryKey",
		json_object_get(keys, "primaryKey"), "secondaryKey", json_object_get(keys, "secondaryKey"));
}

static json_t *
not_rotated_json(const struct registry_call *item)
{
	char text[REST_ERROR_TEXT_MAX];
	enum rest_error error = rest_identity_error(item, text);

	text_repair_utf8(text);
	return json_pack("{s:s, s:s?, s:s, s:s}", "id", item->device_id, "moduleId", item->module_id, "errorCode",
		rest_error_row(error)->name, "errorStatus", text);
}

/* 200: all of them; 207: some; 400: none. */
static void
respond_rotated(struct rest_call *call)
{
	json_t *rotated = json_array(), *errors = json_array(), *body, *error;
	char text[] = "no key was made";

	for (size_t i = 0; i < call->registry.n_items; i++) {
		const struct registry_call *item = &call->registry.items[i];

		if (item->answer == REGISTRY_OK)
			json_array_append_new(rotated, rotated_json(call, item));
		else
			json_array_append_new(errors, not_rotated_json(item));
	}
	body = json_pack(
		"{s:O, s:o, s:o}", "policyKey", json_object_get(call->body, "policyKey"), "rotatedKeys", rotated, "errors", errors);
	if (json_array_size(rotated) > 0) {
		http_respond_json(call->req, json_array_size(errors) > 0 ? 207 : 200, NULL, body);
		return;
	}
	error = rest_error_json(REST_BULK_REGENERATE_DEVICE_KEY_OPERATION_FAILURE, text);
	json_object_update(body, error);
	json_decref(error);
	rest_fail_json(call->req, REST_BULK_REGENERATE_DEVICE_KEY_OPERATION_FAILURE, body);
}

static void
answer_rotated(struct rest_call *call)
{
	if (call->registry.answer == REGISTRY_OK)
		respond_rotated(call);
	else
		rest_identity_fail(call);
	rest_call_free(call);
}

/* false: answered. */
static bool
take_rotation(struct rest_call *call)
{
	const char *name = NULL;
	json_t *devices = NULL;
	struct err err = ERR_INIT;
	unsigned slots;

	if (json_get_text(call->body, "policyKey", &name, &err) < 0 || json_find_array(call->body, "devices", &devices, &err) < 0) {
		rest_fail(call->req, REST_ARGUMENT_INVALID, "%s", err.text);
		return false;
	}
	slots = find_slots(name);
	if (slots == 0) {
		rest_fail(call->req, REST_INVALID_POLICY_KEY, "policyKey is primaryKey, secondaryKey or both");
		return false;
	}
	if (!take_items(&call->registry, call->req, devices) || !check_names(&call->registry, call->req))
		return false;
	for (size_t i = 0; i < call->registry.n_items; i++) {
		call->registry.items[i].op = REGISTRY_ROTATE;
		call->registry.items[i].slots = slots;
	}
	return true;
}

static void
post_regenerate(struct rest *rest, struct http_request *req, const char *const *ids)
{
	json_t *body = rest_body(req);
	struct rest_call *call;

	if (!body)
		return;
	call = rest_call_new(rest, req, ids);
	call->body = body;
	if (take_rotation(call))
		rest_call_submit(call, answer_rotated);
	else
		rest_call_free(call);
}

const struct rest_route rest_bulk_routes[] = {
	{ "POST", "devices", REST_SERVICE, AUTH_REGISTRY_WRITE, post_devices },
	{ "POST", "devices/keys/regenerate", REST_SERVICE, AUTH_REGISTRY_WRITE, post_regenerate },
	{ 0 },
};
