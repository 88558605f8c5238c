/* SPDX-License-Identifier: Apache-2.0 */
/* Shared access policies over REST: what the original does at its resource manager stands here at the hub's own address, in the same shape.  All of it needs a policy with
 * all rights, because the answers hold keys.  Those of provisioning, which are kept beside these, are not seen from here. */
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

struct policy_request {
	struct rest *rest;
	struct http_request *req;
	struct policy_call call;
};

static void
respond_one(struct rest *rest, struct http_request *req, const char *name)
{
	OWN(policies) policies = policy_keeper_current(rest->policies);
	const struct auth_service_policy *policy = policies_find(policies, name);

	if (policy && policy_is_of(policy, POLICY_OWNER))
		http_respond_json(req, 200, NULL, policy_to_json(policy));
	else
		rest_fail(req, REST_GENERIC_NOT_FOUND, "there is no policy %s", name);
}

static void
list(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN(policies) policies = policy_keeper_current(rest->policies);
	json_t *array = json_array();

	(void)ids;
	for (size_t i = 0; i < policies->n; i++)
		if (policy_is_of(&policies->row[i], POLICY_OWNER))
			json_array_append_new(array, policy_to_json(&policies->row[i]));
	http_respond_json(req, 200, NULL, json_pack("{s:o}", "value", array));
}

static void
get(struct rest *rest, struct http_request *req, const char *const *ids)
{
	respond_one(rest, req, ids[0]);
}

/* -- Changes ----------------------------------------------------------------------------------------------------------------------------- */

static void
fail(struct http_request *req, const struct policy_call *call)
{
	switch (call->answer) {
	case POLICY_OK:
		return;
	case POLICY_MISSING:
		rest_fail(req, REST_GENERIC_NOT_FOUND, "there is no policy %s", call->name);
		return;
	case POLICY_EXISTS:
		rest_fail(req, REST_GENERIC_CONFLICT, "there is a policy %s already: If-Match: * changes its rights", call->name);
		return;
	case POLICY_TOO_MANY:
		rest_fail(req, REST_GENERIC_FORBIDDEN, "there are %d policies already", POLICIES_MAX);
		return;
	case POLICY_LAST_OWNER:
		rest_fail(req, REST_GENERIC_CONFLICT, "%s is the last policy with all rights", call->name);
		return;
	case POLICY_FOREIGN:
		rest_fail(req, REST_GENERIC_CONFLICT, "%s is a policy of provisioning", call->name);
		return;
	case POLICY_FAILED:
		log_error("policies: %s", call->err.text);
		rest_fail(req, call->err.kind == ERR_UNAVAILABLE ? REST_SERVICE_UNAVAILABLE : REST_SERVER_ERROR,
			"the registry could not be written");
		return;
	}
}

static void
request_free(struct policy_request *r)
{
	mem_free(r->call.name);
	mem_free(r);
}

static void
on_done(struct policy_call *call)
{
	struct policy_request *r = CONTAINER_OF(call, struct policy_request, call);

	if (call->answer != POLICY_OK)
		fail(r->req, call);
	else if (call->op == POLICY_REMOVE)
		http_respond(r->req, 204, NULL, NULL, 0);
	else
		respond_one(r->rest, r->req, call->name);
	request_free(r);
}

static void
submit(struct rest *rest, struct http_request *req, struct policy_call call, const char *name)
{
	struct policy_request *r;
	struct conn *conn = http_conn(req);

	if (!policy_name_is_valid(name)) {
		rest_fail(req, REST_ARGUMENT_INVALID, "a policy's name has 1 to %d of the characters A-Z a-z 0-9 ! . _ -",
			POLICY_NAME_MAX);
		return;
	}
	r = NEW(policy_request);
	*r = (struct policy_request){ .rest = rest, .req = req, .call = call };
	r->call.of = POLICY_OWNER;
	r->call.name = mem_text(name);
	r->call.done = on_done;
	if (conn && policy_keeper_submit(rest->policies, &r->call, loop_owner(conn_loop(conn))))
		return;
	rest_fail(req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	request_free(r);
}

static void
put(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_body(req);
	OWN_TEXT match = body ? rest_if_match(req) : NULL; /* without a body it is answered, and gone */
	const char *text = NULL;
	struct err err = ERR_INIT;
	unsigned rights;

	if (!body)
		return;
	if (json_get_text(body, "rights", &text, &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return;
	}
	rights = policy_rights_parse(text);
	if (rights == 0 || (rights & ~POLICY_OWNER))
		rest_fail(req, REST_ARGUMENT_INVALID,
			"rights are some of RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect");
	else
		submit(rest, req, (struct policy_call){ .op = POLICY_PUT, .rights = rights, .may_replace = match != NULL }, ids[0]);
}

static void delete (struct rest *rest, struct http_request *req, const char *const *ids)
{
	submit(rest, req, (struct policy_call){ .op = POLICY_REMOVE }, ids[0]);
}

static void
regenerate(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_body(req);
	const char *key = NULL;
	struct policy_call call = { .op = POLICY_RENEW };
	struct err err = ERR_INIT;

	if (!body)
		return;
	if (json_get_text(body, "key", &key, &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return;
	}
	if (policy_renewal_parse(&call.renewal, key))
		submit(rest, req, call, ids[0]);
	else
		rest_fail(req, REST_INVALID_POLICY_KEY, "key is primary, secondary, both or swap");
}

/* What the hub lets in beside that, to be read. */
static void
authentication(struct rest *rest, struct http_request *req, const char *const *ids)
{
	(void)ids;
	http_respond_json(req, 200, NULL, json_pack("{s:b}", "refuseSha1Thumbprints", rest->auth.refuse_sha1_thumbprints));
}

const struct rest_route rest_policy_routes[] = {
	{ "GET", "policies", REST_SERVICE, REST_OWNER, list },
	{ "GET", "policies/*", REST_SERVICE, REST_OWNER, get },
	{ "PUT", "policies/*", REST_SERVICE, REST_OWNER, put },
	{ "DELETE", "policies/*", REST_SERVICE, REST_OWNER, delete },
	{ "POST", "policies/*/regenerate", REST_SERVICE, REST_OWNER, regenerate },
	{ "GET", "authentication", REST_SERVICE, AUTH_REGISTRY_READ, authentication },
	{ 0 },
};
