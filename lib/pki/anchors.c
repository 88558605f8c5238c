/* SPDX-License-Identifier: Apache-2.0 */
/* Trusted certificates, prepared once: the X509_STORE that OpenSSL searches and the list that we show. */
#include <stdatomic.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/mem.h"
#include "pki/anchors.h"

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
		certs_add(&a->certs, roots->item[i]);
	}
	return GIVE(a);
}

int
anchors_add_crls(struct anchors *a, const char *pem, size_t len, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	X509_CRL *crl;
	size_t n = 0;

	while ((crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
		X509_STORE_add_crl(a->store, crl);
		X509_CRL_free(crl);
		n++;
	}
	BIO_free(bio);
	ERR_clear_error();
	a->has_crls = true;
	return n > 0 ? 0 : err_set(err, ERR_INVALID, "there is no certificate revocation list in it");
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
