/* SPDX-License-Identifier: Apache-2.0 */
/* How many devices there are, and how many are connected (hub 4.4). */
#include "hub/rest/rest.h"

static void
answer_devices(struct rest_call *call)
{
	size_t n, enabled;

	registry_count(call->rest->registry, &n, &enabled);
	if (call->registry.answer == REGISTRY_OK)
		http_respond_json(call->req, 200, NULL,
			json_pack("{s:I, s:I, s:I}", "totalDeviceCount", (json_int_t)n, "enabledDeviceCount", (json_int_t)enabled,
				"disabledDeviceCount", (json_int_t)(n - enabled)));
	else
		rest_identity_fail(call);
	rest_call_free(call);
}

static void
devices(struct rest *rest, struct http_request *req, const char *const *ids)
{
	struct rest_call *call = rest_call_new(rest, req, ids);

	call->registry.op = REGISTRY_COUNT;
	rest_call_submit(call, answer_devices);
}

static void
service(struct rest *rest, struct http_request *req, const char *const *ids)
{
	(void)ids;
	http_respond_json(req, 200, NULL, json_pack("{s:I}", "connectedDeviceCount", (json_int_t)directory_count(rest->directory)));
}

const struct rest_route rest_statistics_routes[] = {
	{ "GET", "statistics/devices", REST_SERVICE, AUTH_REGISTRY_READ, devices },
	{ "GET", "statistics/service", REST_SERVICE, AUTH_REGISTRY_READ, service },
	{ 0 },
};
