/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate signing requests: whatever bytes they are, the questions of a CA's policy have answers, and names that are told are whole. */
#include <openssl/err.h>
#include <openssl/x509.h>

#include "fuzz.h"
#include "pki/issue.h"

static void
ask(const struct csr *csr)
{
	char *names[ISSUE_NAMES_MAX];
	size_t all = csr_count_names(csr), n = csr_names(csr, names, ISSUE_NAMES_MAX);
	enum key_alg alg;

	FUZZ_CHECK(all == SIZE_MAX ? n == 0 : n <= all);
	for (size_t i = 0; i < n; i++)
		mem_free(names[i]);
	FUZZ_CHECK(!csr_common_name(csr) || csr_count_common_names(csr) > 0);
	(void)csr_asks_ca(csr);
	(void)csr_is_signed_safely(csr);
	(void)csr_wants_encryption(csr);
	(void)key_pkey_alg(csr_public_key(csr), &alg);
}

/* What is taken for another key proves that key. */
static void
ask_for(const uint8_t *data, size_t size)
{
	static struct key *key;
	CLEAR(buf) der = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	struct csr *csr, *again;

	if (!key)
		key = key_generate(KEY_ED25519, &err);
	csr = csr_from_der_for(data, size, key, &err);
	if (!csr)
		return;
	ask(csr);
	csr_put_der(csr, &der);
	again = csr_from_der(der.data, der.len, &err);
	FUZZ_CHECK(again || der.len > 32768);
	csr_free(again);
	csr_free(csr);
}

/* Our reader of the usual requests takes what OpenSSL takes, and sees in it what OpenSSL sees. */
static void
compare(const uint8_t *data, size_t size, const struct csr *ours)
{
	const uint8_t *at = data;
	X509_REQ *req = size <= 32768 ? d2i_X509_REQ(NULL, &at, (long)size) : NULL;
	EVP_PKEY *key = req && at == data + size ? X509_REQ_get0_pubkey(req) : NULL;
	bool good = key && key_is_acceptable(key) && X509_REQ_verify(req, key) == 1;

	FUZZ_CHECK(good == (ours != NULL));
	if (ours) {
		FUZZ_CHECK(EVP_PKEY_eq(key, csr_public_key(ours)) == 1);
		FUZZ_CHECK(X509_NAME_cmp(X509_REQ_get_subject_name(req), csr_subject(ours)) == 0);
	}
	X509_REQ_free(req);
	ERR_clear_error();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct csr *csr = csr_from_der(data, size, &err);

	compare(data, size, csr);
	if (csr)
		ask(csr);
	csr_free(csr);
	ask_for(data, size);
	err = (struct err)ERR_INIT;
	csr = csr_parse((const char *)data, size, &err);
	if (csr)
		ask(csr);
	csr_free(csr);
	return 0;
}
