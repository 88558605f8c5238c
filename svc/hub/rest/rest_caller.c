/* SPDX-License-Identifier: Apache-2.0 */
/* Who is calling, and may they?  A service shows a token signed with a policy's key, a device its own token or the certificate of the TLS
 * session, a gateway the token of its $edgeHub, a module that calls others its own.  The decision is lib/auth's; here the evidence is collected and the verdict logged. */
#include "auth/trust.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/service.h"
#include "hub/rest/rest.h"
#include "wire/sas.h"

static bool
names_policy(const char *token)
{
	struct err err = ERR_INIT;
	OWN(sas_token) parsed = token ? sas_parse(token, &err) : NULL;

	return parsed && parsed->policy;
}

/* What a token's resource has to cover.  A token for a device of some name is none for a CA, a policy, a configuration or a job of that name; below events an id is a consumer
 * group's. */
static char *
resource_of(const struct http_request *req, const char *id)
{
	static const char *const apart[] = { "certificates", "policies", "configurations", "jobs" };
	const char *noun = "devices";

	if (text_is_nocase(http_segment(req, 0), "events"))
		return mem_text("events");
	for (size_t i = 0; i < COUNT(apart); i++)
		if (text_is_nocase(http_segment(req, 0), apart[i]))
			noun = apart[i];
	return id ? mem_textf("%s/%s", noun, id) : mem_text(noun);
}

static struct verdict *
judge_token(struct rest *rest, const char *resource, const char *token, unsigned right)
{
	OWN(policies) policies = policy_keeper_current(rest->policies);

	return auth_decide_service(rest->hostname, resource, token ? token : "", policies->row, policies->n, right, clock_wall());
}

static struct verdict *
judge_service(struct rest *rest, struct http_request *req, const char *token, unsigned right, const char *const *ids)
{
	OWN_TEXT resource = resource_of(req, ids[0]);

	return judge_token(rest, resource, token, right);
}

bool
rest_token_stands(struct rest *rest, const char *resource, const char *token, unsigned right)
{
	OWN(verdict) verdict = judge_token(rest, resource, token, right);

	return verdict_accepted(verdict);
}

/* An edge device may never open another connection by its own certificate than this. */
static void
tell_of_thumbprint(struct rest *rest, const struct identity *record, const struct cert *leaf)
{
	struct trust trust;
	const char *thumbprint = trust_init(&trust, record, leaf, NULL);

	if (thumbprint)
		rotation_keeper_connected(rest->rotations, record, thumbprint);
}

static struct verdict *
judge_identity(struct rest *rest, struct http_request *req, const char *token, const char *device_id, const char *module_id)
{
	struct conn *conn = http_conn(req);
	struct certs chain = { 0 };
	OWN(identity) record = registry_find_judged(rest->registry, device_id, module_id);
	struct auth_claim claim = { .audience.host = rest->hostname, .device_id = device_id, .module_id = module_id };
	struct auth_evidence evidence = { .chain = &chain, .token = token, .resumed = conn && conn_resumed(conn) };
	OWN(authorities) cas = ca_current(rest->cas);
	OWN(revocations) revoked = hub_revocation_current(rest->revocation);
	struct auth_records records = { .target = record, .device_cas = cas, .revoked = revoked };
	struct verdict *verdict;

	if (conn)
		chain = conn_peer_chain(conn);
	verdict = auth_decide("hub", &claim, &evidence, &records, &rest->auth, clock_wall());
	if (verdict_accepted(verdict) && chain.n > 0 && !(token && *token))
		tell_of_thumbprint(rest, record, chain.item[0]);
	certs_clear(&chain);
	return verdict;
}

/* -- A module that calls others (hub 2.3): who it is, it says in a header ---------------------------------------------------------------- */

bool
rest_caller_is_module(const struct http_request *req, enum rest_who who)
{
	return who == REST_SERVICE_OR_MODULE && http_header(req, "x-ms-edge-moduleId");
}

static bool
module_may(struct rest *rest, struct http_request *req, const char *target)
{
	CLEAR(buf) device_id = BUF_INIT(3 * IDENTITY_ID_MAX), module_id = BUF_INIT(3 * IDENTITY_ID_MAX);
	OWN(verdict) verdict = NULL;

	if (!http_head_module(req, &device_id, &module_id)) {
		rest_fail(req, REST_ARGUMENT_INVALID, "x-ms-edge-moduleId must be a device's id, a slash and a module's id");
		return false;
	}
	verdict = judge_identity(rest, req, http_header(req, "Authorization"), buf_text(&device_id), buf_text(&module_id));
	service_log_verdict(verdict);
	/* It reaches its own device and those below. */
	if (verdict_accepted(verdict) && registry_is_reached(rest->registry, target, buf_text(&device_id)))
		return true;
	rest_fail(req, REST_IOT_HUB_UNAUTHORIZED_ACCESS, "Unauthorized");
	return false;
}

bool
rest_caller_may(struct rest *rest, struct http_request *req, enum rest_who who, unsigned right, const char *const *ids)
{
	const char *token = http_header(req, "Authorization");
	bool as_service = who != REST_GATEWAY && (who != REST_SERVICE_OR_DEVICE || names_policy(token));
	OWN(verdict) verdict = NULL;

	if (rest_caller_is_module(req, who))
		return module_may(rest, req, ids[0]);
	if (as_service)
		verdict = judge_service(rest, req, token, right, ids);
	else
		verdict = judge_identity(rest, req, token, ids[0], who == REST_GATEWAY ? ids[1] : NULL);
	/* What a service asks for often is no news unless it is refused. */
	if (!as_service || !verdict_accepted(verdict) || log_level() >= LOG_DEBUG)
		service_log_verdict(verdict);
	if (verdict_accepted(verdict))
		return true;
	/* The reason is the operator's: it stands in the log. */
	rest_fail(req, REST_IOT_HUB_UNAUTHORIZED_ACCESS, "Unauthorized");
	return false;
}
