/* SPDX-License-Identifier: Apache-2.0 */
/* Revocation lists and OCSP requests: whatever bytes they are, a set stays empty or counts, and there is an answer to every question. */
#include "fuzz.h"
#include "pki/issue.h"
#include "pki/ocsp.h"
#include "pki/revocations.h"

static struct ocsp_ca ca;

static void
make_ca(void)
{
	struct profile profile = {
		.kind = ISSUE_ROOT, .common_name = "fuzz", .path_len = -1, .not_before = 1750000000, .not_after = 1850000000
	};
	struct err err = ERR_INIT;
	struct key *key = key_generate(KEY_ED25519, &err);

	ca = (struct ocsp_ca){ issue_cert(&profile, key_pkey(key), &(struct issuer){ .key = key }, &err), key };
}

static int
find(void *arg, const struct ocsp_ca *of, const char *serial, struct ocsp_finding *out)
{
	(void)arg;
	FUZZ_CHECK(of == &ca && *serial);
	*out = (struct ocsp_finding){ strlen(serial) % 2 ? OCSP_IS_GOOD : OCSP_IS_REVOKED, 1750000000, CRL_SUPERSEDED };
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAR(buf) answer = BUF_INIT(OCSP_ANSWER_MAX);
	struct ocsp_desk desk = { .cas = &ca, .n_cas = 1, .find = find };
	OWN(revocations) set = revocations_new();
	struct err err = ERR_INIT;
	struct certs cas;

	if (!ca.cert)
		make_ca();
	cas = (struct certs){ .item = (struct cert *[]){ (struct cert *)(uintptr_t)ca.cert }, .n = 1 };
	if (revocations_add(set, data, size, &cas, &err) < 0)
		FUZZ_CHECK(revocations_count(set) == 0);
	(void)revocations_have(set, ca.cert);
	err = (struct err)ERR_INIT;
	FUZZ_CHECK(ocsp_answer(&answer, data, size, &desk, 1750000000, 1750003600, &err) == 0 && answer.len > 0);
	return 0;
}
