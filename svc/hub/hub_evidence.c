/* SPDX-License-Identifier: Apache-2.0 */
/* The records that a decision needs (hub_evidence.h): they are in memory, nothing waits. */
#include "hub/hub_evidence.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

void
evidence_clear(struct evidence *e)
{
	identity_free(e->target);
	on_behalf_clear(&e->chain);
	*e = (struct evidence){ 0 };
}

static struct identity *
find(void *arg, const char *device_id, const char *module_id)
{
	return registry_find_judged(arg, device_id, module_id);
}

void
evidence_find(struct evidence *e, struct registry *registry, const struct head_hello *hello)
{
	*e = (struct evidence){ .target = registry_find_judged(registry, hello->device_id, hello->module_id) };
	if (hello->auth_chain)
		on_behalf_find(&e->chain, hello->auth_chain, find, registry);
}

struct verdict *
evidence_judge(const struct evidence *e, const struct head_hello *hello, const char *hub_host, const struct auth_policy *policy,
	struct authorities *cas, const struct revocations *revoked, const struct authority **vouched)
{
	struct auth_claim claim = {
		.audience.host = hub_host,
		.device_id = hello->device_id,
		.module_id = hello->module_id,
		.auth_chain = hello->auth_chain,
	};
	struct auth_evidence evidence = { .chain = hello->chain, .token = hello->token, .resumed = hello->resumed };
	struct auth_records records = {
		.target = e->target,
		.device_cas = cas,
		.revoked = revoked,
		.vouched = vouched,
	};

	on_behalf_give(&records, &e->chain);
	return auth_decide("hub", &claim, &evidence, &records, policy, clock_wall());
}
