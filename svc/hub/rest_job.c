/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs (hub 4.5), which this hub does not have: a client that asks for one is told so by the code that stands for it, and falls back or says why. */
#include "hub/rest.h"

static void
unsupported(struct rest *rest, struct http_request *req, const char *const *ids)
{
	(void)rest;
	(void)ids;
	rest_fail(req, REST_FEATURE_NOT_SUPPORTED, "this hub has no jobs");
}

const struct rest_route rest_job_routes[] = {
	{ "POST", "jobs/create", REST_SERVICE, AUTH_REGISTRY_WRITE, unsupported },
	{ "GET", "jobs", REST_SERVICE, AUTH_REGISTRY_READ, unsupported },
	{ "GET", "jobs/*", REST_SERVICE, AUTH_REGISTRY_READ, unsupported },
	{ "DELETE", "jobs/*", REST_SERVICE, AUTH_REGISTRY_WRITE, unsupported },
	{ "GET", "jobs/v2/query", REST_SERVICE, AUTH_SERVICE_CONNECT, unsupported },
	{ "GET", "jobs/v2/*", REST_SERVICE, AUTH_SERVICE_CONNECT, unsupported },
	{ "PUT", "jobs/v2/*", REST_SERVICE, AUTH_SERVICE_CONNECT, unsupported },
	{ "POST", "jobs/v2/*/cancel", REST_SERVICE, AUTH_SERVICE_CONNECT, unsupported },
	{ 0 },
};
