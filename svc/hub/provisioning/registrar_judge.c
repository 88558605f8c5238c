/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, and may it?  Every question is judged anew with the evidence of its own connection. */
#include "base/clock.h"
#include "base/mem.h"
#include "common/service.h"
#include "hub/provisioning/attest.h"
#include "hub/provisioning/registrar_inside.h"

static const struct enrollment_groups no_groups;

static struct attest_claim
claim_of(const struct registrar_call *call)
{
	return (struct attest_claim){
		.id_scope = call->provisioning->id_scope, .given_scope = call->id_scope, .registration_id = call->registration_id
	};
}

static struct enrollment *
decide(struct registrar_call *call, const struct enrollment_groups *groups, const struct enrollment *individual,
	const struct attest_tpm *tpm)
{
	struct attest_claim claim = claim_of(call);
	struct attest_evidence evidence = { .chain = call->chain, .token = call->token, .tpm = tpm };
	const struct provisioning_config *config = &call->provisioning->config;
	OWN(revocations) revoked = config->revoked ? config->revoked(config->revoked_arg) : NULL;
	struct attest_records records = {
		.revoked = revoked,
		.individual = individual,
		.groups = (const struct enrollment *const *)groups->item,
		.n_groups = groups->n,
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

static void
challenge(struct registrar_call *call, const struct enrollment *e, const struct attest_tpm *tpm)
{
	struct attest_claim claim = claim_of(call);
	struct attest_evidence evidence = { .tpm = tpm };
	struct attest_records records = { .individual = e };
	OWN(verdict) v = attest_challenge(&claim, &evidence, &records, clock_wall());

	service_log_verdict(v);
	if (verdict_accepted(v))
		registrar_challenge(call, e, tpm->storage_root_key ? tpm->storage_root_key : e->storage_root_key);
	else
		registrar_fail(call, REGISTRAR_UNAUTHORIZED, "Unauthorized");
}

/* A TPM says which it is and is challenged, and then signs with what it found in the challenge. */
static struct enrollment *
judge_tpm(struct registrar_call *call, struct enrollment *e)
{
	CLEAR(attest_tpm) tpm = { 0 };
	bool is_signed = call->token && *call->token;
	struct enrollment *matched;

	if (call->is_https && !registrar_read_tpm(call, &tpm))
		return NULL;
	if (!is_signed && tpm.endorsement_key) {
		challenge(call, e, &tpm);
		return NULL;
	}
	matched = decide(call, &no_groups, e, call->is_https ? &tpm : NULL);
	if (matched && !e->storage_root_key)
		e->storage_root_key = GIVE(tpm.storage_root_key);
	return matched;
}

struct enrollment *
registrar_judge(struct registrar_call *call)
{
	struct enrollment_groups *groups = &call->provisioning->groups;
	OWN(enrollment) individual = NULL;
	struct db *db = registrar_db(call);
	struct err err = ERR_INIT;

	if (enrollment_id_is_valid(call->registration_id) &&
		enrollment_store_find(db, false, call->registration_id, &individual, &err) < 0) {
		registrar_fail_broken(call, &err);
		return NULL;
	}
	if (individual && individual->proof == ENROLLMENT_BY_TPM)
		return judge_tpm(call, individual);
	if (individual)
		enrollment_resolve(individual, call->provisioning->cas);
	if (individual)
		return decide(call, &no_groups, individual, NULL);
	if (enrollment_groups_load(groups, db, call->provisioning->cas, &err) < 0) {
		registrar_fail_broken(call, &err);
		return NULL;
	}
	return decide(call, groups, NULL, NULL);
}
