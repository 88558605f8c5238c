/* SPDX-License-Identifier: Apache-2.0 */
/* Devices over REST (hub 4.4). */
#include "base/text.h"
#include "hub/rest/rest.h"

#define LIST_MAX 1000

static void
get(struct rest *rest, struct http_request *req, const char *const *ids)
{
	rest_identity_get(rest, req, ids[0], NULL);
}

static void
put(struct rest *rest, struct http_request *req, const char *const *ids)
{
	rest_identity_put(rest, req, ids, false);
}

static void delete (struct rest *rest, struct http_request *req, const char *const *ids)
{
	rest_identity_delete(rest, req, ids, false);
}

static void
list(struct rest *rest, struct http_request *req, const char *const *ids)
{
	const char *top = http_query(req, "top");
	int64_t max = LIST_MAX;
	struct rest_call *call;

	if (top && !text_to_i64(top, 1, LIST_MAX, &max)) {
		rest_fail(req, REST_DEVICE_INVALID_RESULT_COUNT, "top must be a number from 1 to %d", LIST_MAX);
		return;
	}
	call = rest_call_new(rest, req, ids);
	call->registry.op = REGISTRY_LIST_DEVICES;
	call->registry.max = max;
	rest_call_submit(call, rest_identity_answer_list);
}

const struct rest_route rest_device_routes[] = {
	{ "GET", "devices", REST_SERVICE, AUTH_REGISTRY_READ, list },
	{ "GET", "devices/*", REST_SERVICE, AUTH_REGISTRY_READ, get },
	{ "PUT", "devices/*", REST_SERVICE, AUTH_REGISTRY_WRITE, put },
	{ "DELETE", "devices/*", REST_SERVICE, AUTH_REGISTRY_WRITE, delete },
	{ 0 },
};
