/* SPDX-License-Identifier: Apache-2.0 */
/* Modules of devices below a gateway, which it reads, makes and deletes for them (hub 5, gateway 6): the identity service of a gateway below another one asks that
 * one, and so on up to the hub.  The caller has proven to be the $edgeHub of the path; for which devices it may speak follows from the registry's own parents,
 * never from the chain that it sends (atk-26). */
#include "base/mem.h"
#include "base/text.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

struct on_behalf {
	json_t *body;
	char *device_id, *module_id; /* the head of the chain, and what is named beside it */
};

static void
on_behalf_clear(struct on_behalf *question)
{
	json_decref(question->body);
	mem_free(question->device_id);
	mem_free(question->module_id);
}

static bool
is_reached(struct rest *rest, struct http_request *req, const char *device_id, const char *actor)
{
	OWN(identity) device = registry_find(rest->registry, device_id, NULL);

	if (!device)
		rest_fail(req, REST_DEVICE_NOT_FOUND, "there is no device %s", device_id);
	else if (!registry_is_reached(rest->registry, device_id, actor))
		rest_fail(req, REST_GENERIC_FORBIDDEN,
			"%s is not below %s, or it or a gateway between is disabled, or there are too many", device_id, actor);
	else
		return true;
	return false;
}

/* false: answered. */
static bool
read_question(struct rest *rest, struct http_request *req, const char *const *ids, struct on_behalf *question)
{
	struct err err = ERR_INIT;
	const char *chain = NULL;

	question->body = rest_check_edge_hub(req, ids) ? rest_body(req) : NULL;
	if (!question->body)
		return false;
	if (json_get_text(question->body, "authChain", &chain, &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return false;
	}
	question->device_id = rest_chain_head(req, chain, ids[0]);
	return question->device_id && is_reached(rest, req, question->device_id, ids[0]);
}

static bool
take_module_id(struct http_request *req, struct on_behalf *question, const char *module_id, const char *name)
{
	question->module_id = mem_text(module_id);
	if (module_id && identity_id_is_valid(module_id))
		return true;
	rest_fail(req, REST_ARGUMENT_INVALID, "%s must be an id", name);
	return false;
}

/* The original's own callers name it in two ways: targetModuleId to read, moduleId to delete. */
static bool
read_module_id(struct http_request *req, struct on_behalf *question)
{
	const char *module_id = json_string_value(json_object_get(question->body, "targetModuleId"));

	if (!module_id)
		module_id = json_string_value(json_object_get(question->body, "moduleId"));
	return take_module_id(req, question, module_id, "targetModuleId");
}

static void
get(struct rest *rest, struct http_request *req, const char *const *ids)
{
	CLEAR(on_behalf) question = { 0 };

	if (read_question(rest, req, ids, &question) && read_module_id(req, &question))
		rest_identity_get(rest, req, question.device_id, question.module_id);
}

static void
list(struct rest *rest, struct http_request *req, const char *const *ids)
{
	CLEAR(on_behalf) question = { 0 };

	if (read_question(rest, req, ids, &question))
		rest_modules_list(rest, req, (const char *[REST_IDS_MAX]){ question.device_id });
}

static void
put(struct rest *rest, struct http_request *req, const char *const *ids)
{
	CLEAR(on_behalf) question = { 0 };
	json_t *module;

	if (!read_question(rest, req, ids, &question))
		return;
	module = json_object_get(question.body, "module");
	if (take_module_id(req, &question, json_string_value(json_object_get(module, "moduleId")), "moduleId of module"))
		rest_identity_put_json(
			rest, req, (const char *[REST_IDS_MAX]){ question.device_id, question.module_id }, true, module);
}

static void delete (struct rest *rest, struct http_request *req, const char *const *ids)
{
	CLEAR(on_behalf) question = { 0 };

	if (read_question(rest, req, ids, &question) && read_module_id(req, &question))
		rest_identity_delete(rest, req, (const char *[REST_IDS_MAX]){ question.device_id, question.module_id }, true);
}

/* The original's client makes a module with POST, and its server takes PUT. */
const struct rest_route rest_on_behalf_routes[] = {
	{ "POST", "devices/*/modules/*/getModuleOnBehalfOf", REST_GATEWAY, 0, get },
	{ "POST", "devices/*/modules/*/getModulesOnTargetDevice", REST_GATEWAY, 0, list },
	{ "POST", "devices/*/modules/*/putModuleOnBehalfOf", REST_GATEWAY, 0, put },
	{ "PUT", "devices/*/modules/*/putModuleOnBehalfOf", REST_GATEWAY, 0, put },
	{ "POST", "devices/*/modules/*/deleteModuleOnBehalfOf", REST_GATEWAY, 0, delete },
	{ 0 },
};
