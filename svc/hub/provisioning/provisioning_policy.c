/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do: who may ask provisioning for what.  What the original does at its resource manager stands here at the service itself, as at the hub (rest_policy.c); it needs a
 * policy with all rights, because the answers hold keys.  Policies of the hub, which are kept beside these, are not seen from here. */
#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/provisioning_inside.h"
#include "wire/json.h"

enum numbers {
	BAD_ARGUMENT = 400004,
	NO_POLICY = 404206,
	REFUSED = 409205,
};

static void
list(struct provisioning_call *call)
{
	OWN(policies) policies = policy_keeper_current(call->provisioning->config.policies);
	json_t *array = json_array();

	for (size_t i = 0; i < policies->n; i++)
		if (policy_is_of(&policies->row[i], PROVISIONING_ALL))
			json_array_append_new(array, policy_to_json(&policies->row[i]));
	http_respond_json(call->req, 200, NULL, json_pack("{s:o}", "value", array));
}

static void
show(struct provisioning_call *call)
{
	OWN(policies) policies = policy_keeper_current(call->provisioning->config.policies);
	const struct auth_service_policy *policy = policies_find(policies, call->ids[0]);

	if (policy && policy_is_of(policy, PROVISIONING_ALL))
		http_respond_json(call->req, 200, NULL, policy_to_json(policy));
	else
		provisioning_fail(call, NO_POLICY, "there is no policy %s", call->ids[0]);
}

static void
fail(struct provisioning_call *call, const struct policy_call *change)
{
	static const struct {
		int number;
		const char *sentence;
	} rows[] = {
		[POLICY_MISSING] = { NO_POLICY, "there is no such policy" },
		[POLICY_EXISTS] = { REFUSED, "it is there already: If-Match: * changes its rights" },
		[POLICY_TOO_MANY] = { REFUSED, "there are too many policies" },
		[POLICY_FOREIGN] = { REFUSED, "it is a policy of the hub" },
		[POLICY_LAST_OWNER] = { REFUSED, "it is the last policy with all rights" },
	};

	if (change->answer == POLICY_FAILED)
		provisioning_fail_broken(call, &change->err);
	else
		provisioning_fail(call, rows[change->answer].number, "%s: %s", call->ids[0], rows[change->answer].sentence);
}

static void
change(struct provisioning_call *call, struct policy_call change)
{
	if (!policy_name_is_valid(call->ids[0])) {
		provisioning_fail(
			call, BAD_ARGUMENT, "a policy's name has 1 to %d of the characters A-Z a-z 0-9 ! . _ -", POLICY_NAME_MAX);
		return;
	}
	change.of = PROVISIONING_ALL;
	change.name = mem_text(call->ids[0]);
	policy_keeper_run(call->provisioning->config.policies, &change);
	if (change.answer != POLICY_OK)
		fail(call, &change);
	else if (change.op == POLICY_REMOVE)
		http_respond(call->req, 204, NULL, NULL, 0);
	else
		show(call);
	mem_free(change.name);
}

static void
put(struct provisioning_call *call)
{
	OWN_LIB(json_t) body = provisioning_body(call);
	bool replace = body && http_header(call->req, "If-Match"); /* without a body it is answered, and gone */
	const char *text = NULL;
	struct err err = ERR_INIT;
	unsigned rights;

	if (!body)
		return;
	if (json_get_text(body, "rights", &text, &err) < 0) {
		provisioning_fail(call, BAD_ARGUMENT, "%s", err.text);
		return;
	}
	rights = policy_rights_parse(text);
	if (rights == 0 || (rights & ~PROVISIONING_ALL))
		provisioning_fail(call, BAD_ARGUMENT,
			"rights are some of EnrollmentRead, EnrollmentWrite, RegistrationStatusRead, RegistrationStatusWrite");
	else
		change(call, (struct policy_call){ .op = POLICY_PUT, .rights = rights, .may_replace = replace });
}

static void
regenerate(struct provisioning_call *call)
{
	OWN_LIB(json_t) body = provisioning_body(call);
	struct policy_call renew = { .op = POLICY_RENEW };
	const char *key = NULL;
	struct err err = ERR_INIT;

	if (!body)
		return;
	if (json_get_text(body, "key", &key, &err) < 0)
		provisioning_fail(call, BAD_ARGUMENT, "%s", err.text);
	else if (!policy_renewal_parse(&renew.renewal, key))
		provisioning_fail(call, BAD_ARGUMENT, "key is primary, secondary, both or swap");
	else
		change(call, renew);
}

static void
take_away(struct provisioning_call *call)
{
	change(call, (struct policy_call){ .op = POLICY_REMOVE });
}

const struct provisioning_route provisioning_policy_routes[] = {
	{ "GET", "policies", PROVISIONING_ALL, false, list },
	{ "GET", "policies/*", PROVISIONING_ALL, false, show },
	{ "PUT", "policies/*", PROVISIONING_ALL, false, put },
	{ "DELETE", "policies/*", PROVISIONING_ALL, false, take_away },
	{ "POST", "policies/*/regenerate", PROVISIONING_ALL, false, regenerate },
	{ 0 },
};
