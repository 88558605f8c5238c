/* SPDX-License-Identifier: Apache-2.0 */
/* OCSP through libcrypto (ocsp.h). */
#include "pki/ocsp.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "base/mem.h"

#define IDS_MAX 16

static int
put(struct buf *out, OCSP_RESPONSE *response_take, struct err *err)
{
	uint8_t *der = NULL;
	int len = response_take ? i2d_OCSP_RESPONSE(response_take, &der) : -1;

	OCSP_RESPONSE_free(response_take);
	if (len > 0)
		buf_put(out, der, (size_t)len);
	OPENSSL_free(der);
	ERR_clear_error();
	return len > 0 && !out->failed ? 0 : err_set(err, ERR_BROKEN, "an OCSP answer could not be made");
}

static int
put_trouble(struct buf *out, int status, struct err *err)
{
	return put(out, OCSP_response_create(status, NULL), err);
}

/* The CA that a question is about: name and key in the digest of the question's own choice. */
static const struct ocsp_ca *
find_ca(const struct ocsp_desk *desk, OCSP_CERTID *id)
{
	ASN1_OBJECT *algorithm = NULL;
	const EVP_MD *md;

	OCSP_id_get0_info(NULL, &algorithm, NULL, NULL, id);
	md = EVP_get_digestbyobj(algorithm);
	for (size_t i = 0; md && i < desk->n_cas; i++) {
		X509 *ca = cert_x509(desk->cas[i].cert);
		OCSP_CERTID *own =
			OCSP_cert_id_new(md, X509_get_subject_name(ca), X509_get0_pubkey_bitstr(ca), X509_get0_serialNumber(ca));
		bool same = own && OCSP_id_issuer_cmp(own, id) == 0;

		OCSP_CERTID_free(own);
		if (same)
			return &desk->cas[i];
	}
	return NULL;
}

static char *
serial_text(OCSP_CERTID *id)
{
	ASN1_INTEGER *serial = NULL;
	BIGNUM *number;
	char *hex, *text = NULL;

	OCSP_id_get0_info(NULL, NULL, NULL, &serial, id);
	number = ASN1_INTEGER_to_BN(serial, NULL);
	hex = number && BN_num_bits(number) <= 160 ? BN_bn2hex(number) : NULL;
	if (hex)
		text = mem_text(hex);
	OPENSSL_free(hex);
	BN_free(number);
	return text;
}

static bool
add_status(OCSP_BASICRESP *basic, OCSP_CERTID *id, const struct ocsp_finding *found, int64_t now, int64_t next)
{
	static const int states[] = { [OCSP_IS_GOOD] = V_OCSP_CERTSTATUS_GOOD,
		[OCSP_IS_REVOKED] = V_OCSP_CERTSTATUS_REVOKED,
		[OCSP_IS_UNKNOWN] = V_OCSP_CERTSTATUS_UNKNOWN };
	ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)now), *until = ASN1_TIME_set(NULL, (time_t)next);
	ASN1_TIME *when = found->state == OCSP_IS_REVOKED ? ASN1_TIME_set(NULL, (time_t)found->when) : NULL;
	/* A reason that is not said is none (RFC 5280 5.3.1). */
	int reason = found->reason == CRL_UNSPECIFIED ? OCSP_REVOKED_STATUS_NOSTATUS : (int)found->reason;
	bool done = OCSP_basic_add1_status(basic, id, states[found->state], reason, when, from, until) != NULL;

	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	ASN1_TIME_free(when);
	return done;
}

/* Those of another CA than the first's are unknown: one answer has one signature. */
static int
add_all(OCSP_BASICRESP *basic, OCSP_REQUEST *request, const struct ocsp_desk *desk, const struct ocsp_ca *ca, int64_t now,
	int64_t next)
{
	for (int i = 0; i < OCSP_request_onereq_count(request); i++) {
		OCSP_CERTID *id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, i));
		struct ocsp_finding found = { .state = OCSP_IS_UNKNOWN };
		OWN_TEXT serial = serial_text(id);

		if (serial && find_ca(desk, id) == ca && desk->find(desk->arg, ca, serial, &found) < 0)
			return -1;
		if (!add_status(basic, id, &found, now, next))
			return -1;
	}
	return 0;
}

static bool
sign(OCSP_BASICRESP *basic, OCSP_REQUEST *request, const struct ocsp_ca *ca)
{
	EVP_PKEY *key = key_pkey(ca->key);
	const EVP_MD *md = EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_PKEY_get_bits(key) == 384 ? EVP_sha384() : EVP_sha256();

	return OCSP_copy_nonce(basic, request) != 0 &&
	       OCSP_basic_sign(basic, cert_x509(ca->cert), key, md, NULL, OCSP_RESPID_KEY) == 1;
}

static int
answer(struct buf *out, OCSP_REQUEST *request, const struct ocsp_desk *desk, int64_t now, int64_t next, struct err *err)
{
	int n = OCSP_request_onereq_count(request), done;
	const struct ocsp_ca *ca;
	OCSP_BASICRESP *basic;

	if (n < 1 || n > IDS_MAX)
		return put_trouble(out, OCSP_RESPONSE_STATUS_MALFORMEDREQUEST, err);
	ca = find_ca(desk, OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, 0)));
	if (!ca)
		return put_trouble(out, OCSP_RESPONSE_STATUS_UNAUTHORIZED, err);
	basic = OCSP_BASICRESP_new();
	if (add_all(basic, request, desk, ca, now, next) == 0 && sign(basic, request, ca))
		done = put(out, OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic), err);
	else
		done = put_trouble(out, OCSP_RESPONSE_STATUS_TRYLATER, err);
	OCSP_BASICRESP_free(basic);
	return done;
}

int
ocsp_answer(
	struct buf *out, const void *request, size_t len, const struct ocsp_desk *desk, int64_t now, int64_t next, struct err *err)
{
	const uint8_t *at = request;
	OCSP_REQUEST *read = len > 0 && len <= OCSP_REQUEST_MAX ? d2i_OCSP_REQUEST(NULL, &at, (long)len) : NULL;
	int done;

	if (read && at == (const uint8_t *)request + len)
		done = answer(out, read, desk, now, next, err);
	else
		done = put_trouble(out, OCSP_RESPONSE_STATUS_MALFORMEDREQUEST, err);
	OCSP_REQUEST_free(read);
	ERR_clear_error();
	return done;
}
