/* SPDX-License-Identifier: Apache-2.0 */
/* Trusted certificates, prepared once: the X509_STORE that OpenSSL searches and the list that we show. */
#include <stdatomic.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "pki/anchors.h"
#include "wire/pem.h"

struct anchors {
	X509_STORE *store;
	struct certs certs;
	bool has_crls;
	atomic_int n_refs;
};

struct anchors *
anchors_new(const struct certs *roots, struct err *err)
{
	OWN(anchors) a = NEW(anchors);

	a->n_refs = 1;
	a->store = X509_STORE_new();
	if (!a->store)
		return err_null(err, ERR_BROKEN, "making a certificate store failed");
	for (size_t i = 0; i < roots->n; i++) {
		if (X509_STORE_add_cert(a->store, cert_x509(roots->item[i])) != 1)
			return err_null(err, ERR_BROKEN, "%s: OpenSSL does not take it as an anchor", cert_subject(roots->item[i]));
		/* OpenSSL reads the extensions at the first use: now, while no other thread has it. */
		X509_check_purpose(cert_x509(roots->item[i]), -1, 0);
		certs_add(&a->certs, roots->item[i]);
	}
	return GIVE(a);
}

static int
add_crl(struct anchors *a, const struct pem *pem, struct err *err)
{
	const uint8_t *at = pem->der.data;
	X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)pem->der.len);

	if (!crl || at != pem->der.data + pem->der.len || X509_STORE_add_crl(a->store, crl) != 1) {
		X509_CRL_free(crl);
		ERR_clear_error();
		return err_set(err, ERR_INVALID, "line %d: not a certificate revocation list", pem->line);
	}
	X509_CRL_free(crl);
	a->has_crls = true;
	return 0;
}

int
anchors_add_crls(struct anchors *a, const char *text, size_t len, struct err *err)
{
	struct pem pem;
	int status;

	pem_init(&pem, text, len);
	while ((status = pem_next(&pem, err)) > 0) {
		status = slice_is(pem.label, "X509 CRL") ? add_crl(a, &pem, err) : 0;
		if (status < 0)
			break;
	}
	pem_clear(&pem);
	if (status == 0 && !a->has_crls)
		return err_set(err, ERR_INVALID, "there is no certificate revocation list in it");
	return status;
}

struct anchors *
anchors_ref(struct anchors *a)
{
	if (a)
		a->n_refs++;
	return a;
}

void
anchors_free(struct anchors *a)
{
	if (!a || --a->n_refs > 0)
		return;
	X509_STORE_free(a->store);
	certs_clear(&a->certs);
	mem_free(a);
}

const struct certs *
anchors_certs(const struct anchors *a)
{
	return &a->certs;
}

X509_STORE *
anchors_store(const struct anchors *a)
{
	return a->store;
}

bool
anchors_have_crls(const struct anchors *a)
{
	return a->has_crls;
}
