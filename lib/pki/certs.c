/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of certificates from PEM: all of them or none.  A bundle that is read in part is a bundle that trusts less than its owner thinks, or more. */
#include "base/file.h"
#include "base/mem.h"
#include "pki/cert.h"
#include "wire/pem.h"

#define CERTS_FILE_MAX (4 * 1024 * 1024)

void
certs_clear(struct certs *certs)
{
	for (size_t i = 0; i < certs->n; i++)
		cert_free(certs->item[i]);
	mem_free(certs->item);
	*certs = (struct certs){ 0 };
}

void
certs_add(struct certs *certs, struct cert *cert)
{
	certs->item = mem_resize(certs->item, (certs->n + 1) * sizeof(*certs->item));
	certs->item[certs->n++] = cert_ref(cert);
}

static bool
is_certificate(const struct pem *pem)
{
	return slice_is(pem->label, "CERTIFICATE") || slice_is(pem->label, "X509 CERTIFICATE") ||
	       slice_is(pem->label, "TRUSTED CERTIFICATE");
}

static int
take_block(struct certs *certs, const struct pem *pem, size_t max, struct err *err)
{
	OWN(cert) cert = NULL;

	if (!is_certificate(pem))
		return 0; /* a key or parameters beside the certificates */
	if (certs->n == max)
		return err_set(err, ERR_LIMIT, "line %d: more than %zu certificates", pem->line, max);
	cert = cert_from_der(pem->der.data, pem->der.len, err);
	if (!cert)
		return err_wrap(err, "line %d", pem->line);
	certs_add(certs, cert);
	return 0;
}

int
certs_parse(struct certs *out, const char *text, size_t len, size_t max, struct err *err)
{
	struct certs certs = { 0 };
	struct slice other = { 0 };
	struct pem pem;
	int status;

	pem_init(&pem, text, len);
	while ((status = pem_next(&pem, err)) > 0) {
		if (take_block(&certs, &pem, max, err) < 0) {
			status = -1;
			break;
		}
		if (!is_certificate(&pem))
			other = pem.label;
	}
	pem_clear(&pem);
	if (status == 0 && certs.n == 0)
		status = err_set(err, ERR_INVALID, "there is no certificate in it%s%.*s", other.len > 0 ? ", but a " : "",
			(int)other.len, other.len > 0 ? other.text : "");
	if (status < 0) {
		certs_clear(&certs);
		return -1;
	}
	*out = certs;
	return 0;
}

int
certs_decode(struct certs *out, const struct buf *bytes, size_t max, struct err *err)
{
	OWN(cert) cert = NULL;

	if (bytes->len < 2 || bytes->data[0] != 0x30) /* no SEQUENCE: text */
		return certs_parse(out, buf_text(bytes), bytes->len, max, err);
	cert = cert_from_der(bytes->data, bytes->len, err);
	if (!cert)
		return -1;
	*out = (struct certs){ 0 };
	certs_add(out, cert);
	return 0;
}

int
certs_load(struct certs *out, const char *path, size_t max, struct err *err)
{
	CLEAR(buf) bytes = BUF_INIT(CERTS_FILE_MAX);

	if (file_load(&bytes, path, err) < 0)
		return -1;
	return certs_decode(out, &bytes, max, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

void
certs_put_pem(const struct certs *certs, struct buf *out)
{
	for (size_t i = 0; i < certs->n; i++)
		cert_put_pem(certs->item[i], out);
}

bool
certs_have(const struct certs *certs, const struct cert *cert)
{
	for (size_t i = 0; i < certs->n; i++)
		if (cert_is_same(certs->item[i], cert))
			return true;
	return false;
}

static struct cert *
find_issuer(const struct certs *any, const struct certs *but, const struct cert *cert)
{
	for (size_t i = 0; i < any->n; i++)
		if (!certs_have(but, any->item[i]) && cert_is_issued_by(cert, any->item[i]))
			return any->item[i];
	return NULL;
}

void
certs_put_in_order(struct certs *out, const struct certs *any)
{
	for (struct cert *at = any->item[0]; at; at = cert_is_self_issued(at) ? NULL : find_issuer(any, out, at))
		certs_add(out, at);
}
