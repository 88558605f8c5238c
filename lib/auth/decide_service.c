/* SPDX-License-Identifier: Apache-2.0 */
/* The decision about a service: a token signed with a shared access policy's key (hub 4.1, 4.2). */
#include "auth/decide.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/sas.h"

static const struct auth_service_policy *
find_policy(const struct auth_service_policy *policies, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (text_is(policies[i].name, name))
			return &policies[i];
	return NULL;
}

static void
judge(struct verdict *v, const char *hub_host, const char *resource, const struct sas_token *token,
	const struct auth_service_policy *policy, unsigned needed, int64_t now)
{
	struct sas_audience audience = { .host = hub_host };
	char until[CLOCK_TEXT_LEN];

	if (!policy) {
		verdict_fail(v, SAS_UNKNOWN_POLICY, "policy", resource, "a shared access policy of this hub",
			token->policy ? token->policy : "no skn");
	} else if (!sas_resource_covers(token, &audience, resource)) {
		verdict_fail(v, SAS_WRONG_RESOURCE, "token resource", policy->name, hub_host, token->resource);
	} else if (!sas_signature_matches(token, policy->keys[0]) && !sas_signature_matches(token, policy->keys[1])) {
		verdict_fail(v, SAS_BAD_SIGNATURE, "token signature", policy->name,
			"the signature of the policy's primary or secondary key", "of neither");
	} else if (token->expiry <= now) {
		verdict_fail(v, SAS_EXPIRED, "token expiry", policy->name, "a time to come", clock_text(token->expiry, until));
	} else if ((policy->rights & needed) != needed) {
		verdict_fail(v, SAS_NO_PERMISSION, "permission", policy->name, "the right to do this", "a policy without it");
	} else {
		verdict_pass(v, "policy", policy->name, "the right to do this", policy->name);
	}
}

struct verdict *
auth_decide_service(const char *hub_host, const char *resource, const char *text, const struct auth_service_policy *policies,
	size_t n_policies, unsigned needed, int64_t now)
{
	struct err err = ERR_INIT;
	OWN(sas_token) token = text && *text ? sas_parse(text, &err) : NULL;
	struct verdict *v = verdict_new("hub", "May this service do that?", token && token->policy ? token->policy : "a service");

	if (!text || !*text)
		verdict_fail(v, DEVICE_NO_CREDENTIAL, "token", resource, "an Authorization header", "none");
	else if (!token)
		verdict_fail(v, SAS_MALFORMED, "token", resource, "SharedAccessSignature sr=...&sig=...&se=...&skn=...", err.text);
	else
		judge(v, hub_host, resource, token, token->policy ? find_policy(policies, n_policies, token->policy) : NULL, needed,
			now);
	return v;
}
