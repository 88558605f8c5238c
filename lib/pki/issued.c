/* SPDX-License-Identifier: Apache-2.0 */
/* Servers differ in what they send and in which order; the certificate is found by its key, and its issuers by their signatures, never by their place. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/text.h"
#include "pki/chain.h"
#include "pki/issued.h"

static bool
is_for(const struct cert *cert, const struct csr *csr)
{
	bool is = EVP_PKEY_eq(X509_get0_pubkey(cert_x509(cert)), csr_public_key(csr)) == 1;

	ERR_clear_error();
	return is;
}

/* Of several for the key, the one that lasts longest: a server may send the one before too. */
static struct cert *
find_leaf(const struct issued_query *q)
{
	struct cert *found = NULL;

	for (size_t i = 0; i < q->answer->n; i++)
		if (is_for(q->answer->item[i], q->csr) && (!found || cert_not_after(q->answer->item[i]) > cert_not_after(found)))
			found = q->answer->item[i];
	return found;
}

static bool
has(const struct certs *certs, const struct cert *cert)
{
	for (size_t i = 0; i < certs->n; i++)
		if (cert_is_same(certs->item[i], cert))
			return true;
	return false;
}

static struct cert *
find_issuer(const struct cert *cert, const struct certs *from, const struct certs *chain)
{
	for (size_t i = 0; i < from->n; i++)
		if (!has(chain, from->item[i]) && cert_is_issued_by(cert, from->item[i]))
			return from->item[i];
	return NULL;
}

static void
put_chain(struct certs *chain, struct cert *leaf, const struct issued_query *q)
{
	struct cert *at = leaf;

	while (at) {
		certs_add(chain, at);
		if (cert_is_self_issued(at))
			break;
		at = find_issuer(chain->item[chain->n - 1], q->cas, chain);
		if (!at)
			at = find_issuer(chain->item[chain->n - 1], q->answer, chain);
	}
	for (size_t i = 0; i < q->cas->n; i++)
		if (!has(chain, q->cas->item[i]))
			certs_add(chain, q->cas->item[i]);
}

static void
judge_name(struct verdict *v, const struct cert *cert, const struct csr *csr)
{
	const char *wanted = csr_common_name(csr), *found = cert_common_name(cert);

	if (!wanted)
		return;
	if (text_is(found, wanted))
		verdict_pass(v, "name", cert_subject(cert), wanted, found);
	else
		verdict_fail(v, NAME_MISMATCH, "name", cert_subject(cert), wanted, found ? found : "no single common name");
}

static void
judge_ca(struct verdict *v, const struct cert *cert)
{
	bool signs = X509_get_key_usage(cert_x509(cert)) & KU_KEY_CERT_SIGN;

	if (cert_is_ca(cert) && signs)
		verdict_pass(v, "CA", cert_subject(cert), "CA:TRUE with keyCertSign", "the same");
	else
		verdict_fail(v, CERT_NOT_CA, "CA", cert_subject(cert), "CA:TRUE with keyCertSign, which the request asked for",
			cert_is_ca(cert) ? "CA:TRUE without keyCertSign" : "no CA:TRUE");
}

static void
judge_chain(struct verdict *v, const struct cert *leaf, const struct certs *chain, const struct issued_query *q)
{
	static const enum chain_purpose purposes[] = {
		[ISSUED_LEAF] = CHAIN_ANY,
		[ISSUED_CLIENT] = CHAIN_CLIENT,
		[ISSUED_SERVER] = CHAIN_SERVER,
		[ISSUED_CA] = CHAIN_ANY,
	};
	struct err err = ERR_INIT;
	CLEAR(certs) cas = { 0 };
	OWN(anchors) anchors = NULL;

	for (size_t i = 0; i < q->cas->n; i++)
		if (cert_is_ca(q->cas->item[i]))
			certs_add(&cas, q->cas->item[i]);
	anchors = anchors_new(&cas, &err);
	if (anchors)
		chain_verify(v, anchors,
			&(struct chain_query){ .leaf = leaf,
				.untrusted = chain,
				.purpose = purposes[q->use],
				.now = q->now,
				.partial = true,
				.refuse_ca_leaf = q->use != ISSUED_CA,
				.anchors_name = "the CA certificates of the server" });
	else
		verdict_fail(v, TRUST_UNKNOWN_ISSUER, "CA certificates of the server", "", "at least one CA", err.text);
}

void
issued_judge(struct certs *chain, struct verdict *v, const struct issued_query *q)
{
	struct cert *leaf = find_leaf(q);

	if (!leaf) {
		verdict_fail(v, KEY_MISMATCH, "key", q->answer->n > 0 ? cert_subject(q->answer->item[0]) : "",
			"a certificate for the key of the request", "one for another key");
		return;
	}
	verdict_pass(v, "key", cert_subject(leaf), "the key of the request", "the same");
	put_chain(chain, leaf, q);
	judge_name(v, leaf, q->csr);
	if (q->use == ISSUED_CA)
		judge_ca(v, leaf);
	judge_chain(v, leaf, chain, q);
}
