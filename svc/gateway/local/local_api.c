/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the local API, and what it answers. */
#include "gateway/local/local_api.h"

#include "base/mem.h"
#include "base/text.h"
#include "gateway/gauges/gateway_metrics.h"
#include "gateway/local/health.h"
#include "gateway/local/local_method.h"
#include "gateway/local/local_twin.h"

#define IDS_MAX 2
#define METRICS_TEXT_MAX (32 << 20) /* what bounded series can be at the very most is a fraction of it */

struct local_route {
	enum local_caller needs;
	const char *method, *path; /* without the first slash; "*" stands for an id */
	void (*answer)(const struct local_api *api, struct http_request *req, const char *const *ids);
};

static void
fail(struct http_request *req, int status, const char *message)
{
	http_respond_json(req, status, NULL, json_pack("{s:s}", "message", message));
}

/* -- For who collects -------------------------------------------------------------------------------------------------------------------- */

static void
answer_metrics(const struct local_api *api, struct http_request *req, const char *const *ids)
{
	static const char *const headers[] = { "Content-Type: text/plain; version=0.0.4; charset=utf-8", NULL };
	CLEAR(buf) text = BUF_INIT(METRICS_TEXT_MAX);

	(void)ids;
	vitals_measure(&api->sources);
	metrics_show(gateway_metrics(), &text);
	if (text.failed)
		fail(req, 500, "there are too many metrics to show");
	else
		http_respond(req, 200, headers, text.data, text.len);
}

/* Whoever hears it has been heard by a loop and by a worker. */
static void
answer_alive(const struct local_api *api, struct http_request *req, const char *const *ids)
{
	(void)api;
	(void)ids;
	http_respond_json(req, 200, NULL, json_pack("{s:b, s:s}", "alive", true, "version", ROOTEDGE_VERSION));
}

static void
answer_ready(const struct local_api *api, struct http_request *req, const char *const *ids)
{
	struct vitals vitals;
	json_t *answer;
	bool ready;

	(void)ids;
	vitals_take(&vitals, &api->sources);
	answer = health_json(&vitals, &ready);
	http_respond_json(req, ready ? 200 : 503, NULL, answer);
}

/* -- For the operator ---------------------------------------------------------------------------------------------------------------------- */

static void
answer_status(const struct local_api *api, struct http_request *req, const char *const *ids)
{
	struct vitals vitals;

	(void)ids;
	vitals_take(&vitals, &api->sources);
	vitals_take_device_cas(&vitals, &api->sources);
	http_respond_json(req, 200, NULL, gateway_status_json(&api->names, &vitals));
}

static void
answer_devices(const struct local_api *api, struct http_request *req, const char *const *ids)
{
	const char *limit = http_query(req, "limit");
	int64_t most = DEVICE_VIEW_MOST;

	(void)ids;
	if (limit && !text_to_i64(limit, 1, DEVICE_VIEW_MOST, &most)) {
		fail(req, 400, "limit is a number from 1 to 500");
		return;
	}
	http_respond_json(req, 200, NULL, device_view_list(&api->devices, http_query(req, "after"), (size_t)most));
}

static void
answer_device(const struct local_api *api, struct http_request *req, const char *const *ids)
{
	json_t *device = device_view_show(&api->devices, ids[0], ids[1]);

	if (device)
		http_respond_json(req, 200, NULL, device);
	else
		fail(req, 404, "nothing is known of it: the hub has not told of it, and it did not try to come in lately");
}

/* -- The table ----------------------------------------------------------------------------------------------------------------------------- */

static const struct local_route routes[] = {
	{ LOCAL_READER, "GET", "metrics", answer_metrics },
	{ LOCAL_READER, "GET", "healthz", answer_alive },
	{ LOCAL_READER, "GET", "readyz", answer_ready },
	{ LOCAL_OPERATOR, "GET", "status", answer_status },
	{ LOCAL_OPERATOR, "GET", "devices", answer_devices },
	{ LOCAL_OPERATOR, "GET", "devices/*", answer_device },
	{ LOCAL_OPERATOR, "GET", "devices/*/modules/*", answer_device },
};

/* Those that wait for a device, or for what is kept of it. */
static const struct local_route begun[] = {
	{ LOCAL_OPERATOR, "POST", "devices/*/methods", local_method_call },
	{ LOCAL_OPERATOR, "POST", "devices/*/modules/*/methods", local_method_call },
	{ LOCAL_OPERATOR, "GET", "devices/*/twin", local_twin_show },
	{ LOCAL_OPERATOR, "GET", "devices/*/modules/*/twin", local_twin_show },
	{ LOCAL_OPERATOR, "PATCH", "devices/*/twin/desired", local_twin_set },
	{ LOCAL_OPERATOR, "PATCH", "devices/*/modules/*/twin/desired", local_twin_set },
	{ LOCAL_OPERATOR, "DELETE", "devices/*/twin/desired", local_twin_reset },
	{ LOCAL_OPERATOR, "DELETE", "devices/*/modules/*/twin/desired", local_twin_reset },
};

bool
local_api_begin(const struct local_api *api, struct http_request *req, enum local_caller caller)
{
	const char *ids[IDS_MAX] = { NULL };

	for (size_t i = 0; i < COUNT(begun); i++)
		if (caller >= begun[i].needs && text_is(http_method(req), begun[i].method) &&
			http_path_fits(req, begun[i].path, ids, IDS_MAX)) {
			begun[i].answer(api, req, ids);
			return true;
		}
	return false;
}

void
local_api_answer(const struct local_api *api, struct http_request *req, enum local_caller caller)
{
	const char *ids[IDS_MAX] = { NULL };
	bool is_there = false;

	if (caller == LOCAL_STRANGER) {
		fail(req, 403, "only root and the gateway's own user may ask here");
		return;
	}
	for (size_t i = 0; i < COUNT(routes); i++) {
		const struct local_route *route = &routes[i];

		if (route->needs > caller || !http_path_fits(req, route->path, ids, IDS_MAX))
			continue;
		is_there = true;
		if (!text_is(http_method(req), route->method))
			continue;
		route->answer(api, req, ids);
		return;
	}
	fail(req, is_there ? 405 : 404, is_there ? "not by this method" : "there is nothing at this path");
}
