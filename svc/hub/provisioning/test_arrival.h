/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of attestation share: somebody at the door of the provisioning service, what he shows, the enrollments that there are, and how it came out. */

#include "base/mem.h"
#include "hub/provisioning/attest.h"
#include "pki/story.h"
#include "t_verdict.h"
#include "wire/sas.h"

#define SCOPE "0ne0badcafe"
#define GROUPS_MAX 4

/* Somebody at the door of the provisioning service. */
struct arrival {
	const char *scope, *id;
	struct certs chain;
	char *token;
	struct attest_tpm tpm;
	bool by_mqtt;
	struct enrollment *individual, *groups[GROUPS_MAX];
	size_t n_groups;
	struct revocations *revoked;
	int64_t now;
};

static inline void
arrival_clear(struct arrival *a)
{
	certs_clear(&a->chain);
	mem_free(a->token);
	attest_tpm_clear(&a->tpm);
	enrollment_free(a->individual);
	revocations_free(a->revoked);
	for (size_t i = 0; i < a->n_groups; i++)
		enrollment_free(a->groups[i]);
}

static inline struct arrival
arrival_of(const char *id)
{
	return (struct arrival){ .scope = SCOPE, .id = id, .now = STORY_NOW };
}

static inline void
show(struct arrival *a, const struct made *leaf, const struct made *between)
{
	certs_add(&a->chain, leaf->cert);
	if (between)
		certs_add(&a->chain, between->cert);
}

static inline struct enrollment *
add_group(struct arrival *a, const char *id, enum enrollment_proof proof)
{
	struct enrollment *group = enrollment_new(id, true);

	group->proof = proof;
	a->groups[a->n_groups++] = group;
	return group;
}

static inline struct enrollment *
add_ca_group(struct arrival *a, const char *id, const struct made *ca)
{
	struct enrollment *group = add_group(a, id, ENROLLMENT_BY_CA);

	group->certs[0] = cert_ref(ca->cert);
	return group;
}

static inline struct enrollment *
set_individual(struct arrival *a, enum enrollment_proof proof)
{
	a->individual = enrollment_new(a->id, false);
	a->individual->proof = proof;
	return a->individual;
}

static inline void
set_key(struct secret *key, const char *text)
{
	secret_set(key, text, strlen(text));
}

static inline char *
token_for(const char *resource, const struct secret *key, int64_t expiry, const char *policy)
{
	struct buf text = BUF_INIT(SAS_TOKEN_MAX);

	sas_sign(&text, resource, expiry, policy, key);
	return buf_take_text(&text);
}

/* As SDKs make it, for an hour. */
static inline void
show_token(struct arrival *a, const struct secret *key)
{
	OWN_TEXT resource = mem_textf(SCOPE "/registrations/%s", a->id);

	a->token = token_for(resource, key, STORY_NOW + 3600, "registration");
}

static inline const struct enrollment *
decide(const struct arrival *a, struct verdict **verdict)
{
	struct attest_claim claim = { .id_scope = SCOPE, .given_scope = a->scope, .registration_id = a->id };
	struct attest_evidence evidence = { .chain = &a->chain, .token = a->token, .tpm = a->by_mqtt ? NULL : &a->tpm };
	struct attest_records records = {
		.revoked = a->revoked,
		.individual = a->individual,
		.groups = (const struct enrollment *const *)a->groups,
		.n_groups = a->n_groups,
	};
	const struct enrollment *matched;

	*verdict = attest_decide(&claim, &evidence, &records, a->now, &matched);
	return matched;
}

static inline void
let_in(const struct arrival *a, const struct enrollment *by)
{
	OWN(verdict) v = NULL;
	const struct enrollment *matched = decide(a, &v);

	CHECK_ACCEPTED(v);
	CHECK(matched == by);
}

static inline void
refused(const struct arrival *a, enum reason reason)
{
	OWN(verdict) v = NULL;
	const struct enrollment *matched = decide(a, &v);

	CHECK_CAUSE(v, reason);
	CHECK(matched == NULL);
}
