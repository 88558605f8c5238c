/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, and may it?  Every question is judged anew with the evidence of its own connection. */
#include "base/clock.h"
#include "common/service.h"
#include "hub/provisioning/attest.h"
#include "hub/provisioning/registrar_inside.h"

static struct enrollment *
decide(struct registrar_call *call, const struct enrollment_groups *groups, const struct enrollment *individual)
{
	struct attest_claim claim = {
		.id_scope = call->provisioning->id_scope, .given_scope = call->id_scope, .registration_id = call->registration_id
	};
	struct attest_evidence evidence = { .chain = call->chain, .token = call->token };
	struct attest_records records = {
		.individual = individual, .groups = (const struct enrollment *const *)groups->item, .n_groups = groups->n
	};
	const struct enrollment *matched;
	OWN(verdict) v = attest_decide(&claim, &evidence, &records, clock_wall(), &matched);

	service_log_verdict(v);
	if (matched)
		return enrollment_ref(matched);
	/* The reason is the operator's: it stands in the log. */
	registrar_fail(call, REGISTRAR_UNAUTHORIZED, "Unauthorized");
	return NULL;
}

struct enrollment *
registrar_judge(struct registrar_call *call)
{
	static const struct enrollment_groups none;
	struct enrollment_groups *groups = &call->provisioning->groups;
	OWN(enrollment) individual = NULL;
	struct db *db = registrar_db(call);
	struct err err = ERR_INIT;

	if (enrollment_id_is_valid(call->registration_id) &&
		enrollment_store_find(db, false, call->registration_id, &individual, &err) < 0) {
		registrar_fail_broken(call, &err);
		return NULL;
	}
	if (individual)
		return decide(call, &none, individual);
	if (enrollment_groups_load(groups, db, &err) < 0) {
		registrar_fail_broken(call, &err);
		return NULL;
	}
	return decide(call, groups, NULL);
}
