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
	identity_free(e->actor);
	identity_free(e->actor_device);
	for (size_t i = 0; i < e->n_path; i++)
		identity_free(e->path[i]);
	*e = (struct evidence){ 0 };
}

/* "target;...;actor": the devices between, and the gateway at the end with its $edgeHub. */
static void
find_chain(struct evidence *e, struct registry *registry, const char *chain)
{
	struct slice rest = slice_of(chain), one;
	bool more = slice_cut(&rest, ';', &one);

	while (more) {
		OWN_TEXT id = NULL;

		more = slice_cut(&rest, ';', &one);
		id = slice_text(one);
		if (!more) {
			e->actor_device = registry_find(registry, id, NULL);
			e->actor = registry_find_judged(registry, id, EVIDENCE_EDGE_HUB);
			return;
		}
		if (e->n_path == EVIDENCE_CHAIN_MAX)
			return; /* without an actor it is refused */
		e->path[e->n_path] = registry_find(registry, id, NULL);
		if (!e->path[e->n_path])
			return;
		e->n_path++;
	}
}

void
evidence_find(struct evidence *e, struct registry *registry, const struct head_hello *hello)
{
	*e = (struct evidence){ .target = registry_find_judged(registry, hello->device_id, hello->module_id) };
	if (hello->auth_chain)
		find_chain(e, registry, hello->auth_chain);
}

struct verdict *
evidence_judge(const struct evidence *e, const struct head_hello *hello, const char *hub_host, const struct auth_policy *policy,
	struct authorities *cas, const struct revocations *revoked, const struct authority **vouched)
{
	struct auth_claim claim = {
		.hub_host = hub_host,
		.device_id = hello->device_id,
		.module_id = hello->module_id,
		.auth_chain = hello->auth_chain,
	};
	struct auth_evidence evidence = { .chain = hello->chain, .token = hello->token, .resumed = hello->resumed };
	struct auth_records records = {
		.target = e->target,
		.actor = e->actor,
		.actor_device = e->actor_device,
		.path = (const struct identity *const *)e->path,
		.n_path = e->n_path,
		.device_cas = cas,
		.revoked = revoked,
		.vouched = vouched,
	};

	return auth_decide("hub", &claim, &evidence, &records, policy, clock_wall());
}
