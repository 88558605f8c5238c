/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests: somebody at the door, with what it shows and what is known about it.  The clock stands at STORY_NOW (pki/story.h). */

#include "auth/decide.h"
#include "base/mem.h"
#include "pki/story.h"
#include "t_verdict.h"
#include "wire/codec.h"
#include "wire/sas.h"

#define TRIAL_HUB "contosoiothub.local"

struct trial {
	struct identity *target;
	struct certs chain;
	char *token;
	struct auth_claim claim;
	struct auth_records records;
	struct auth_policy policy;
	int64_t now;
};

/* A device or module at the hub's door, enabled, registered for `auth` with nothing yet. */
static inline struct trial
trial_of(const char *device_id, const char *module_id, enum identity_auth auth)
{
	struct identity *target = identity_new(device_id, module_id);

	target->enabled = true;
	target->auth = auth;
	target->generation_id = mem_text("638000000000000000");
	return (struct trial){
		.target = target,
		.claim = { .audience.host = TRIAL_HUB, .device_id = target->device_id, .module_id = target->module_id },
		.records = { .target = target },
		.now = STORY_NOW,
	};
}

static inline void
trial_clear(struct trial *trial)
{
	identity_free(trial->target);
	certs_clear(&trial->chain);
	mem_free(trial->token);
}

static inline void
trial_show(struct trial *trial, const struct made *leaf, const struct made *intermediate)
{
	certs_add(&trial->chain, leaf->cert);
	if (intermediate)
		certs_add(&trial->chain, intermediate->cert);
}

/* The SHA-256 of the certificate as a registered thumbprint. */
static inline char *
trial_thumbprint(const struct made *made)
{
	struct buf hex = BUF_INIT(128);

	hex_encode(&hex, cert_sha256(made->cert), DIGEST_SHA256_LEN, true);
	return buf_take_text(&hex);
}

static inline void
trial_key(struct secret *key, const char *text)
{
	secret_set(key, text, strlen(text));
}

/* A token as an SDK makes it, for an hour unless said otherwise. */
static inline char *
trial_token(const char *resource, const char *key_text, int64_t expiry)
{
	struct buf token = BUF_INIT(SAS_TOKEN_MAX);
	struct secret key;

	trial_key(&key, key_text);
	sas_sign(&token, resource, expiry ? expiry : STORY_NOW + 3600, NULL, &key);
	return buf_take_text(&token);
}

/* One CA that may speak for everybody. */
static inline struct authorities *
trial_authorities(const struct made *registered)
{
	struct authorities *set = authorities_new();
	struct authority_scope all = { 0 };
	struct err err = ERR_INIT;

	if (authorities_add(set, "registered", registered->cert, &all, true, &err) < 0)
		fail_msg("%s", err.text);
	return set;
}

static inline struct verdict *
trial_decide(const struct trial *trial)
{
	struct auth_evidence evidence = { .chain = &trial->chain, .token = trial->token };

	return auth_decide("hub", &trial->claim, &evidence, &trial->records, &trial->policy, trial->now);
}

static inline void
trial_accepted(const struct trial *trial)
{
	OWN(verdict) v = trial_decide(trial);

	CHECK_ACCEPTED(v);
}

static inline void
trial_refused(const struct trial *trial, enum reason reason)
{
	OWN(verdict) v = trial_decide(trial);

	CHECK_CAUSE(v, reason);
}
