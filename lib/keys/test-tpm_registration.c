/* SPDX-License-Identifier: Apache-2.0 */
/* Against swtpm, with blobs that the service's own code makes. */
#include "base/digest.h"
#include "keys/tpm_registration.h"
#include "keys/tpm_wrap.h"
#include "t_swtpm.h"

struct story {
	struct t_swtpm t;
	struct tpm *tpm;
	struct tpm_registration registration;
	struct tpm_public ek, srk;
};

static void
begin(struct story *s, const char *name)
{
	CLEAR(buf) ek = BUF_INIT(TPM_PUBLIC_MAX);
	CLEAR(buf) srk = BUF_INIT(TPM_PUBLIC_MAX);
	struct err err = ERR_INIT;

	t_swtpm_start(&s->t, name);
	s->tpm = tpm_new(s->t.tcti, NULL);
	s->registration = (struct tpm_registration){ .tpm = s->tpm, .key_index = TPM_REGISTRATION_KEY_INDEX };
	CHECK_OK(tpm_registration_keys(&s->registration, &ek, &srk, &err), err);
	CHECK_OK(tpm_public_decode(&s->ek, ek.data, ek.len, &err), err);
	CHECK_OK(tpm_public_decode(&s->srk, srk.data, srk.len, &err), err);
}

static void
end(struct story *s)
{
	tpm_free(s->tpm);
	t_swtpm_off(&s->t);
}

static void
check_signs(const struct story *s, const struct secret *key, size_t len)
{
	uint8_t data[5000], want[DIGEST_SHA256_LEN], got[DIGEST_SHA256_LEN];
	struct err err = ERR_INIT;

	random_bytes(data, sizeof(data));
	digest_hmac_sha256(key->bytes, key->len, data, len, want);
	CHECK_OK(tpm_registration_sign(&s->registration, data, len, got, &err), err);
	CHECK(memcmp(want, got, sizeof(want)) == 0);
}

TEST("a TPM's keys are those of the TCG's templates, and the same each time and after it was switched off")
{
	struct story s;
	CLEAR(buf) ek = BUF_INIT(TPM_PUBLIC_MAX);
	CLEAR(buf) srk = BUF_INIT(TPM_PUBLIC_MAX);
	struct tpm_public again;
	struct err err = ERR_INIT;

	begin(&s, "same");
	CHECK_INT(s.ek.kind, TPM_PUBLIC_RSA);
	CHECK(!tpm_public_may_be_parent(&s.ek));
	CHECK(tpm_public_may_be_parent(&s.srk));
	t_swtpm_off(&s.t);
	t_swtpm_on(&s.t, "same");
	CHECK_OK(tpm_registration_keys(&s.registration, &ek, &srk, &err), err);
	CHECK_OK(tpm_public_decode(&again, ek.data, ek.len, &err), err);
	CHECK(memcmp(again.name, s.ek.name, sizeof(again.name)) == 0);
	CHECK_OK(tpm_public_decode(&again, srk.data, srk.len, &err), err);
	CHECK(memcmp(again.name, s.srk.name, sizeof(again.name)) == 0);
	end(&s);
}

TEST("a key that the service sends signs in the TPM, texts of any length, until the next one takes its place")
{
	static const size_t lens[] = { 0, 1, 64, 1023, 1024, 1025, 2048, 2049, 5000 };
	struct secret first = { .len = 32, .bytes = "first" }, second = { .len = 32, .bytes = "second" };
	struct story s;
	uint8_t out[32];
	struct err err = ERR_INIT;

	begin(&s, "import");
	CHECK(tpm_registration_sign(&s.registration, "x", 1, out, &err) < 0);
	CHECK_ERR(err, ERR_MISSING, "has not given this TPM a key yet");
	for (int i = 0; i < 2; i++) {
		const struct secret *key = i ? &second : &first;
		CLEAR(buf) blob = BUF_INIT(TPM_WRAPPED_MAX);

		err = (struct err)ERR_INIT;
		CHECK_OK(tpm_wrap_key(&blob, &s.ek, &s.srk, key, &err), err);
		CHECK_OK(tpm_registration_import(&s.registration, blob.data, blob.len, &err), err);
		for (size_t n = 0; n < COUNT(lens); n++)
			check_signs(&s, key, lens[n]);
	}
	t_swtpm_off(&s.t);
	t_swtpm_on(&s.t, "import");
	check_signs(&s, &second, 100);
	end(&s);
}

TEST("a blob for another TPM, cut short, changed anywhere or of nothing is refused, and the key that was there still signs")
{
	struct secret key = { .len = 32, .bytes = "kept" }, other = { .len = 32, .bytes = "other" };
	CLEAR(buf) good = BUF_INIT(TPM_WRAPPED_MAX);
	CLEAR(buf) foreign = BUF_INIT(TPM_WRAPPED_MAX);
	struct story s, t;
	struct err err = ERR_INIT;

	begin(&t, "other");
	CHECK_OK(tpm_wrap_key(&foreign, &t.ek, &t.srk, &other, &err), err);
	end(&t);
	begin(&s, "this");
	CHECK_OK(tpm_wrap_key(&good, &s.ek, &s.srk, &key, &err), err);
	CHECK_OK(tpm_registration_import(&s.registration, good.data, good.len, &err), err);
	CHECK(tpm_registration_import(&s.registration, foreign.data, foreign.len, &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "not for this TPM");
	for (size_t len = 0; len < good.len; len += 97)
		CHECK(tpm_registration_import(&s.registration, good.data, len, &err) < 0);
	for (size_t i = 0; i < good.len; i += 31) {
		good.data[i] ^= 0x40;
		CHECK(tpm_registration_import(&s.registration, good.data, good.len, &err) < 0);
		good.data[i] ^= 0x40;
	}
	check_signs(&s, &key, 64);
	end(&s);
}

TEST("without a TPM the answer is that it can't be opened")
{
	OWN(tpm) tpm = tpm_new("swtpm:host=127.0.0.1,port=1", NULL);
	struct tpm_registration r = { .tpm = tpm, .key_index = 1 };
	CLEAR(buf) ek = BUF_INIT(TPM_PUBLIC_MAX);
	CLEAR(buf) srk = BUF_INIT(TPM_PUBLIC_MAX);
	struct err err = ERR_INIT;

	CHECK(tpm_registration_keys(&r, &ek, &srk, &err) < 0);
	CHECK_INT(err.kind, ERR_UNAVAILABLE);
}
