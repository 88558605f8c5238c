/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the local API, and what it answers. */
#include "gateway/local/local_api.h"

#include "base/mem.h"
#include "base/text.h"
#include "gateway/local/gateway_metrics.h"
#include "gateway/local/health.h"

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

/* -- The table ----------------------------------------------------------------------------------------------------------------------------- */

static const struct local_route routes[] = {
	{ LOCAL_READER, "GET", "metrics", answer_metrics },
	{ LOCAL_READER, "GET", "healthz", answer_alive },
	{ LOCAL_READER, "GET", "readyz", answer_ready },
};

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
