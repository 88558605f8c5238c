/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to its handler: one table of method, path, who may, and what happens.  Words of paths are compared without case, an ending slash is
 * overlooked, ids are percent-decoded and checked for their alphabet (hub 4.3). */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub/rest/rest.h"

static const struct rest_route *const tables[] = {
	rest_bulk_routes,
	rest_device_routes,
	rest_module_routes,
	rest_statistics_routes,
	rest_scope_routes,
	rest_event_routes,
	rest_ca_routes,
	rest_policy_routes,
	rest_thumbprint_routes,
	rest_twin_routes,
	rest_digital_twin_routes,
	rest_method_routes,
	rest_command_routes,
	rest_file_routes,
	rest_apply_routes,
	rest_configuration_routes,
	rest_job_routes,
	rest_query_routes,
	rest_refusal_routes,
	rest_on_behalf_routes,
};

/* "2021-04-12", "2018-08-30-preview": any date of this century (hub 4.3). */
static bool
version_is_known(const char *version)
{
	static const char form[] = "20dd-dd-dd";
	size_t i = 0;

	for (; form[i]; i++)
		if (form[i] == 'd' ? version[i] < '0' || version[i] > '9' : version[i] != form[i])
			return false;
	return !version[i] || text_is(version + i, "-preview");
}

static bool
check_version(struct http_request *req)
{
	const char *version = http_query(req, "api-version");

	if (version && version_is_known(version))
		return true;
	rest_fail(req, REST_INVALID_PROTOCOL_VERSION, "%s",
		version ? "the api-version is not a known one" : "the api-version is missing");
	return false;
}

static bool
check_ids(struct http_request *req, const char *const *ids)
{
	for (size_t i = 0; i < REST_IDS_MAX && ids[i]; i++)
		if (!identity_id_is_valid(ids[i])) {
			rest_fail(req, REST_ARGUMENT_INVALID, "an id has 1 to %d ASCII letters, digits and -:.+%%_#*?!(),=@;$'",
				IDENTITY_ID_MAX);
			return false;
		}
	return true;
}

static void
not_found(struct http_request *req, bool known_path)
{
	if (known_path)
		rest_fail(req, REST_GENERIC_METHOD_NOT_ALLOWED, "%s is not possible here", http_method(req));
	else
		rest_fail(req, REST_GENERIC_NOT_FOUND, "there is nothing at this path");
}

/* The route of this request, or NULL; *known_path: others can be asked for at its path. */
static const struct rest_route *
find_route(const struct http_request *req, const char *ids[REST_IDS_MAX], bool *known_path)
{
	for (size_t i = 0; i < COUNT(tables); i++)
		for (const struct rest_route *route = tables[i]; route->method; route++) {
			if (!http_path_fits(req, route->path, ids, REST_IDS_MAX))
				continue;
			if (text_is(route->method, http_method(req)))
				return route;
			*known_path = true;
		}
	return NULL;
}

static void
serve(struct rest *rest, struct http_request *req)
{
	const char *ids[REST_IDS_MAX];
	bool known_path = false;
	const struct rest_route *route;

	if (http_head_take(rest->devices, req))
		return;
	route = find_route(req, ids, &known_path);
	if (!route) {
		not_found(req, known_path);
		return;
	}
	if (!check_ids(req, ids) || !rest_caller_may(rest, req, route->who, route->right, ids))
		return;
	if (route->who != REST_SERVICE_OURS && !rest_caller_is_module(req, route->who) && !check_version(req))
		return;
	route->handle(rest, req, ids);
}

/* -- With faults on purpose ------------------------------------------------------------------------------------------------------------ */

struct late_request {
	struct rest *rest;
	struct http_request *req;
};

static void
serve_late(void *arg)
{
	struct late_request *late = arg;

	serve(late->rest, late->req);
	mem_free(late);
}

static void
serve_with_faults(struct rest *rest, struct http_request *req)
{
	struct conn *conn = http_conn(req);
	struct late_request *late;

	if (faults_throttle(rest->faults)) {
		rest_fail(req, REST_THROTTLING_EXCEPTION, "throttled on purpose (--fault)");
	} else if (!conn || faults_drop(rest->faults)) {
		if (conn)
			conn_abort(conn, "broken on purpose (--fault)");
		http_respond(req, 503, NULL, NULL, 0);
	} else {
		late = NEW(late_request);
		*late = (struct late_request){ .rest = rest, .req = req };
		faults_later(rest->faults, conn_loop(conn), serve_late, late);
	}
}

void
rest_handle(struct http_request *req, void *arg)
{
	struct rest *rest = arg;

	if (rest->faults)
		serve_with_faults(rest, req);
	else
		serve(rest, req);
}

/* -- Requests that wait for the registry -------------------------------------------------------------------------------------------- */

struct rest_call *
rest_call_new(struct rest *rest, struct http_request *req, const char *const *ids)
{
	struct rest_call *call = NEW(rest_call);

	call->rest = rest;
	call->req = req;
	for (size_t i = 0; i < REST_IDS_MAX; i++)
		call->ids[i] = mem_text(ids[i]);
	return call;
}

void
rest_call_free(struct rest_call *call)
{
	registry_call_clear(&call->registry);
	for (size_t i = 0; i < REST_IDS_MAX; i++)
		mem_free(call->ids[i]);
	json_decref(call->body);
	json_decref(call->modules);
	identity_free(call->target);
	mem_free(call->after);
	mem_free(call->etag);
	mem_free(call);
}

static void
on_registry_done(struct registry_call *registry)
{
	struct rest_call *call = CONTAINER_OF(registry, struct rest_call, registry);

	call->answer(call);
}

void
rest_call_submit(struct rest_call *call, void (*answer)(struct rest_call *call))
{
	struct conn *conn = http_conn(call->req);

	call->answer = answer;
	call->registry.done = on_registry_done;
	if (conn && registry_submit(call->rest->registry, &call->registry, loop_owner(conn_loop(conn))))
		return;
	rest_fail(call->req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	rest_call_free(call);
}
