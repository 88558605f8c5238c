/* SPDX-License-Identifier: Apache-2.0 */
/* Modules over REST (hub 4.4), for services and for the device that they are on. */
#include "base/mem.h"
#include "hub/rest/rest.h"

static void
get(struct rest *rest, struct http_request *req, const char *const *ids)
{
	rest_identity_get(rest, req, ids[0], ids[1]);
}

static void
put(struct rest *rest, struct http_request *req, const char *const *ids)
{
	rest_identity_put(rest, req, ids, true);
}

static void delete (struct rest *rest, struct http_request *req, const char *const *ids)
{
	rest_identity_delete(rest, req, ids, true);
}

void
rest_modules_list(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN(identity) device = registry_find(rest->registry, ids[0], NULL);
	struct rest_call *call;

	if (!device) {
		rest_fail(req, REST_DEVICE_NOT_FOUND, "there is no device %s", ids[0]);
		return;
	}
	call = rest_call_new(rest, req, ids);
	call->registry.op = REGISTRY_LIST_MODULES;
	call->registry.device_id = mem_text(ids[0]);
	rest_call_submit(call, rest_identity_answer_list);
}

const struct rest_route rest_module_routes[] = {
	{ "GET", "devices/*/modules", REST_SERVICE_OR_DEVICE, AUTH_REGISTRY_READ, rest_modules_list },
	{ "GET", "devices/*/modules/*", REST_SERVICE_OR_DEVICE, AUTH_REGISTRY_READ, get },
	{ "PUT", "devices/*/modules/*", REST_SERVICE_OR_DEVICE, AUTH_REGISTRY_WRITE, put },
	{ "DELETE", "devices/*/modules/*", REST_SERVICE_OR_DEVICE, AUTH_REGISTRY_WRITE, delete },
	{ 0 },
};
