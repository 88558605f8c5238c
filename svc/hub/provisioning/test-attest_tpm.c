/* SPDX-License-Identifier: Apache-2.0 */
/* Attestation by a TPM: who is challenged, and who has answered. */
#include "hub/provisioning/test_arrival.h"
#include "hub/provisioning/tpm_secret.h"
#include "wire/tpm_story.h"

static struct enrollment *
set_tpm(struct arrival *a, const char *ek, const char *srk)
{
	struct enrollment *e = set_individual(a, ENROLLMENT_BY_TPM);

	set_key(&e->keys[0], "the secret of this enrollment, that nobody else has");
	e->endorsement_key = mem_text(ek);
	e->storage_root_key = mem_text(srk);
	return e;
}

static void
say(struct arrival *a, const char *ek, const char *srk)
{
	attest_tpm_clear(&a->tpm);
	a->tpm = (struct attest_tpm){ .endorsement_key = mem_text(ek), .storage_root_key = mem_text(srk) };
}

/* A token that the challenge of this time and this storage root key was answered with. */
static void
answer_challenge(struct arrival *a, const char *srk, int64_t given)
{
	struct secret key = { 0 };

	tpm_challenge_key(&key, a->individual, srk, given, 0);
	mem_free(a->token);
	show_token(a, &key);
}

static void
challenged(const struct arrival *a, enum reason reason)
{
	struct attest_claim claim = { .id_scope = SCOPE, .given_scope = a->scope, .registration_id = a->id };
	struct attest_evidence evidence = { .tpm = &a->tpm };
	struct attest_records records = { .individual = a->individual };
	OWN(verdict) v = attest_challenge(&claim, &evidence, &records, a->now);

	if (reason == OK)
		CHECK_ACCEPTED(v);
	else
		CHECK_CAUSE(v, reason);
}

TEST("the enrolled TPM is challenged, and let in by the key of its challenge")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, NULL);

	say(&a, STORY_EK, STORY_SRK);
	challenged(&a, OK);
	answer_challenge(&a, STORY_SRK, STORY_NOW);
	let_in(&a, e);
}

TEST("a device that asks how it goes does not say again which TPM it has: the key that signs does")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, STORY_SRK);

	answer_challenge(&a, STORY_SRK, STORY_NOW);
	let_in(&a, e);
}

TEST("a challenge is answered in its window and in the next one, and not after that, nor before it was given")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, NULL);
	int64_t begin = STORY_NOW - STORY_NOW % TPM_CHALLENGE_WINDOW_S;

	say(&a, STORY_EK, STORY_SRK);
	answer_challenge(&a, STORY_SRK, begin);
	a.now = begin + 2 * TPM_CHALLENGE_WINDOW_S - 1;
	let_in(&a, e);
	a.now = begin + 2 * TPM_CHALLENGE_WINDOW_S;
	refused(&a, TPM_CHALLENGE_UNANSWERED);
	a.now = begin - 1;
	refused(&a, TPM_CHALLENGE_UNANSWERED);
}

TEST("the key of a challenge is of one id, one endorsement key, one storage root key and one enrollment")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, NULL);
	struct secret keys[5] = { 0 };

	tpm_challenge_key(&keys[0], e, STORY_SRK, STORY_NOW, 0);
	tpm_challenge_key(&keys[1], e, STORY_SRK_P256, STORY_NOW, 0);
	mem_free(e->id);
	e->id = mem_text("dev2");
	tpm_challenge_key(&keys[2], e, STORY_SRK, STORY_NOW, 0);
	mem_free(e->id);
	e->id = mem_text("DEV1");
	tpm_challenge_key(&keys[3], e, STORY_SRK, STORY_NOW, 0);
	CHECK_MEM(keys[3].bytes, keys[0].bytes, keys[0].len); /* in any case */
	e->keys[0].bytes[0] ^= 1;
	tpm_challenge_key(&keys[3], e, STORY_SRK, STORY_NOW, 0);
	mem_free(e->endorsement_key);
	e->endorsement_key = mem_text(STORY_EK_P256);
	e->keys[0].bytes[0] ^= 1;
	tpm_challenge_key(&keys[4], e, STORY_SRK, STORY_NOW, 0);
	for (size_t i = 0; i < COUNT(keys); i++)
		for (size_t k = 0; k < i; k++)
			CHECK(memcmp(keys[i].bytes, keys[k].bytes, keys[i].len) != 0);
}

TEST("a TPM with another endorsement key is neither challenged nor let in")
{
	CLEAR(arrival) a = arrival_of("dev1");

	set_tpm(&a, STORY_EK, NULL);
	say(&a, STORY_EK_P256, STORY_SRK);
	challenged(&a, TPM_ENDORSEMENT_KEY_DIFFERS);
	answer_challenge(&a, STORY_SRK, STORY_NOW);
	refused(&a, TPM_ENDORSEMENT_KEY_DIFFERS);
	say(&a, "not a key", STORY_SRK);
	challenged(&a, TPM_ENDORSEMENT_KEY_DIFFERS);
}

TEST("a storage root key that is enrolled is the only one")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, STORY_SRK);

	say(&a, STORY_EK, STORY_SRK_P256);
	challenged(&a, TPM_STORAGE_ROOT_KEY_DIFFERS);
	answer_challenge(&a, STORY_SRK_P256, STORY_NOW);
	refused(&a, TPM_STORAGE_ROOT_KEY_DIFFERS);
	say(&a, STORY_EK, STORY_SRK);
	challenged(&a, OK);
	answer_challenge(&a, STORY_SRK, STORY_NOW);
	let_in(&a, e);
}

TEST("nothing is wrapped for what is no storage root key")
{
	static const char *const unfit[] = { NULL, "", "AAAA", STORY_EK };
	CLEAR(arrival) a = arrival_of("dev1");

	set_tpm(&a, STORY_EK, NULL);
	for (size_t i = 0; i < COUNT(unfit); i++) {
		say(&a, STORY_EK, unfit[i]);
		challenged(&a, TPM_STORAGE_ROOT_KEY_UNFIT);
	}
}

TEST("a token that another key signed, or that is for another id or out of date, answers no challenge")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, NULL);
	struct secret key = { 0 }, hub[2] = { 0 };

	say(&a, STORY_EK, STORY_SRK);
	tpm_hub_keys(hub, e, STORY_SRK);
	show_token(&a, &hub[0]);
	refused(&a, TPM_CHALLENGE_UNANSWERED);
	mem_free(a.token);
	show_token(&a, &e->keys[0]);
	refused(&a, TPM_CHALLENGE_UNANSWERED);
	tpm_challenge_key(&key, e, STORY_SRK, STORY_NOW, 0);
	mem_free(a.token);
	a.token = token_for(SCOPE "/registrations/dev2", &key, STORY_NOW + 60, "registration");
	refused(&a, SAS_WRONG_RESOURCE);
	mem_free(a.token);
	a.token = token_for(SCOPE "/registrations/dev1", &key, STORY_NOW - 1, "registration");
	refused(&a, SAS_EXPIRED);
}

TEST("over MQTT no TPM is let in, with what token ever")
{
	CLEAR(arrival) a = arrival_of("dev1");

	set_tpm(&a, STORY_EK, STORY_SRK);
	answer_challenge(&a, STORY_SRK, STORY_NOW);
	a.by_mqtt = true;
	refused(&a, TPM_NEEDS_HTTPS);
}

TEST("a disabled enrollment of a TPM, another scope and an id that is none get no challenge")
{
	CLEAR(arrival) a = arrival_of("dev1");
	struct enrollment *e = set_tpm(&a, STORY_EK, NULL);

	say(&a, STORY_EK, STORY_SRK);
	e->enabled = false;
	challenged(&a, ENROLLMENT_DISABLED);
	answer_challenge(&a, STORY_SRK, STORY_NOW);
	refused(&a, ENROLLMENT_DISABLED);
	e->enabled = true;
	a.scope = "0ne00000000";
	challenged(&a, ID_SCOPE_UNKNOWN);
	a.scope = SCOPE;
	a.id = "a b";
	challenged(&a, REGISTRATION_ID_INVALID);
}

TEST("a certificate does not stand in for the enrolled TPM")
{
	CLEAR(made) leaf = story_device("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");

	set_tpm(&a, STORY_EK, STORY_SRK);
	show(&a, &leaf, NULL);
	refused(&a, ENROLLMENT_WRONG_PROOF);
}
