/* SPDX-License-Identifier: Apache-2.0 */
/* Reading CRLs into a set (revocations.h). */
#include "pki/revocations.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "base/mem.h"
#include "wire/pem.h"

#define LISTS_MAX 64

struct id {
	uint8_t bytes[REVOCATION_ID_LEN];
};

struct revocations {
	struct id *ids;
	size_t n, room;
	int64_t next;
	atomic_int n_refs;
};

struct revocations *
revocations_new(void)
{
	struct revocations *set = NEW(revocations);

	set->n_refs = 1;
	return set;
}

struct revocations *
revocations_ref(struct revocations *set)
{
	if (set)
		atomic_fetch_add(&set->n_refs, 1);
	return set;
}

void
revocations_free(struct revocations *set)
{
	if (!set || atomic_fetch_sub(&set->n_refs, 1) > 1)
		return;
	mem_free(set->ids);
	mem_free(set);
}

/* The serial number has a fixed place behind a digest of the name, so that no pair can be read as another one. */
static void
id_of(const X509_NAME *issuer, const ASN1_INTEGER *serial, uint8_t out[static REVOCATION_ID_LEN])
{
	CLEAR(buf) text = BUF_INIT(4096);
	uint8_t digest[DIGEST_SHA256_LEN];
	const uint8_t *der = NULL;
	size_t len = 0;

	(void)X509_NAME_get0_der(issuer, &der, &len);
	digest_sha256(der, len, digest);
	buf_put(&text, digest, sizeof(digest));
	buf_put(&text, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
	digest_sha256(text.data, text.len, digest);
	memcpy(out, digest, REVOCATION_ID_LEN);
}

void
revocation_id(const struct cert *cert, uint8_t out[static REVOCATION_ID_LEN])
{
	id_of(X509_get_issuer_name(cert_x509(cert)), X509_get0_serialNumber(cert_x509(cert)), out);
}

/* -- One list ----------------------------------------------------------------------------------------------------------------------- */

/* RFC 5280 5.2: what is critical and not understood makes the list unusable. */
static int
check_extensions(const X509_CRL *crl, struct err *err)
{
	if (X509_CRL_get_ext_by_critical(crl, 1, -1) >= 0)
		return err_set(err, ERR_INVALID,
			"a revocation list with a critical extension: a delta list, or one of some certificates only");
	return 0;
}

static bool
is_signed_by(X509_CRL *crl, const struct cert *ca)
{
	X509 *x509 = cert_x509(ca);
	bool may = !(X509_get_extension_flags(x509) & EXFLAG_KUSAGE) || (X509_get_key_usage(x509) & KU_CRL_SIGN);

	return may && cert_is_ca(ca) && X509_NAME_cmp(X509_get_subject_name(x509), X509_CRL_get_issuer(crl)) == 0 &&
	       X509_CRL_verify(crl, X509_get0_pubkey(x509)) == 1;
}

static bool
is_signed(X509_CRL *crl, const struct certs *issuers)
{
	for (size_t i = 0; issuers && i < issuers->n; i++)
		if (is_signed_by(crl, issuers->item[i]))
			return true;
	ERR_clear_error();
	return false;
}

static void
take_next(struct revocations *set, const X509_CRL *crl)
{
	const ASN1_TIME *time = X509_CRL_get0_nextUpdate(crl);
	struct tm tm;

	if (time && ASN1_TIME_to_tm(time, &tm) == 1) {
		int64_t next = timegm(&tm);

		if (set->next == 0 || next < set->next)
			set->next = next;
	}
}

static void
make_room(struct revocations *set, size_t n)
{
	if (set->n + n <= set->room)
		return;
	set->room = n > set->n ? set->n + n : 2 * set->n;
	set->ids = mem_resize(set->ids, set->room * sizeof(*set->ids));
}

static void
take_entries(struct revocations *set, X509_CRL *crl)
{
	STACK_OF(X509_REVOKED) *list = X509_CRL_get_REVOKED(crl);
	size_t n = list ? (size_t)sk_X509_REVOKED_num(list) : 0;

	make_room(set, n);
	for (size_t i = 0; i < n; i++)
		id_of(X509_CRL_get_issuer(crl), X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(list, (int)i)),
			set->ids[set->n++].bytes);
	take_next(set, crl);
}

/* -- Files of them ------------------------------------------------------------------------------------------------------------------- */

struct reading {
	X509_CRL *lists[LISTS_MAX];
	size_t n_lists;
	struct certs cas;
};

static int
read_list(struct reading *r, const uint8_t *der, size_t len, struct err *err)
{
	const uint8_t *at = der;
	X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)len);

	ERR_clear_error();
	if (crl && at == der + len && r->n_lists < LISTS_MAX) {
		r->lists[r->n_lists++] = crl;
		return check_extensions(crl, err);
	}
	X509_CRL_free(crl);
	return err_set(err, ERR_INVALID,
		r->n_lists == LISTS_MAX ? "too many revocation lists in one file" : "a revocation list that can't be read");
}

static int
read_block(struct reading *r, const struct pem *pem, struct err *err)
{
	OWN(cert) cert = NULL;

	if (slice_is(pem->label, "X509 CRL"))
		return read_list(r, pem->der.data, pem->der.len, err);
	if (!slice_is(pem->label, "CERTIFICATE"))
		return err_set(err, ERR_INVALID, "line %d: a PEM block %.*s is neither a revocation list nor a certificate",
			pem->line, (int)pem->label.len, pem->label.text);
	cert = cert_from_der(pem->der.data, pem->der.len, err);
	if (!cert)
		return -1;
	certs_add(&r->cas, cert);
	return 0;
}

static int
read_pem(struct reading *r, const char *text, size_t len, struct err *err)
{
	struct pem pem;
	int found;

	pem_init(&pem, text, len);
	while ((found = pem_next(&pem, err)) > 0)
		if (read_block(r, &pem, err) < 0)
			found = -1;
	pem_clear(&pem);
	if (found == 0 && r->n_lists == 0)
		return err_set(err, ERR_INVALID, "there is no revocation list in it");
	return found;
}

static int
check_signatures(const struct reading *r, const struct certs *issuers, struct err *err)
{
	for (size_t i = 0; i < r->n_lists; i++)
		if (!is_signed(r->lists[i], issuers) && !is_signed(r->lists[i], &r->cas)) {
			char name[200] = "";

			X509_NAME_oneline(X509_CRL_get_issuer(r->lists[i]), name, sizeof(name));
			return err_set(
				err, ERR_DENIED, "the revocation list of %.150s is signed by no CA that is known here", name);
		}
	return 0;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, REVOCATION_ID_LEN);
}

void
revocations_sort(struct revocations *set)
{
	size_t n = 0;

	if (set->n == 0)
		return;
	qsort(set->ids, set->n, sizeof(*set->ids), compare);
	for (size_t i = 1; i < set->n; i++)
		if (compare(&set->ids[n], &set->ids[i]) != 0)
			set->ids[++n] = set->ids[i];
	set->n = n + 1;
}

int
revocations_put(struct revocations *set, const struct cert *issuer, const char *serial, struct err *err)
{
	BIGNUM *bn = NULL;
	ASN1_INTEGER *number = BN_hex2bn(&bn, serial) == (int)strlen(serial) ? BN_to_ASN1_INTEGER(bn, NULL) : NULL;

	BN_free(bn);
	if (!number) {
		ERR_clear_error();
		return err_set(err, ERR_INVALID, "'%.60s' is no serial number", serial);
	}
	make_room(set, 1);
	id_of(X509_get_subject_name(cert_x509(issuer)), number, set->ids[set->n++].bytes);
	ASN1_INTEGER_free(number);
	return 0;
}

int
revocations_add(struct revocations *set, const void *data, size_t len, const struct certs *issuers, struct err *err)
{
	struct reading r = { 0 };
	bool is_der = len > 0 && *(const uint8_t *)data == 0x30;
	int done;

	if (len > REVOCATIONS_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "a revocation list of more than %d MiB", REVOCATIONS_MAX_BYTES >> 20);
	done = is_der ? read_list(&r, data, len, err) : read_pem(&r, data, len, err);
	if (done == 0)
		done = check_signatures(&r, issuers, err);
	for (size_t i = 0; done == 0 && i < r.n_lists; i++)
		take_entries(set, r.lists[i]);
	if (done == 0)
		revocations_sort(set);
	for (size_t i = 0; i < r.n_lists; i++)
		X509_CRL_free(r.lists[i]);
	certs_clear(&r.cas);
	return done;
}

void
revocations_merge(struct revocations *set, const struct revocations *other)
{
	if (!other || other->n == 0)
		return;
	make_room(set, other->n);
	memcpy(set->ids + set->n, other->ids, other->n * sizeof(*set->ids));
	set->n += other->n;
	if (set->next == 0 || (other->next != 0 && other->next < set->next))
		set->next = other->next;
	revocations_sort(set);
}

/* -- A file of its own ----------------------------------------------------------------------------------------------------------------- */

/* The ids in their order, behind a digest of them. */
int
revocations_save(const struct revocations *set, const char *path, struct err *err)
{
	size_t len = set->n * sizeof(*set->ids);
	CLEAR(buf) there = BUF_INIT(REVOCATIONS_MAX_BYTES);
	CLEAR(buf) now = BUF_INIT(REVOCATIONS_MAX_BYTES);
	struct err none = ERR_INIT;
	uint8_t digest[DIGEST_SHA256_LEN];

	digest_sha256(set->ids, len, digest);
	buf_put(&now, digest, sizeof(digest));
	buf_put(&now, set->ids, len);
	if (now.failed)
		return err_set(err, ERR_LIMIT, "%s: %zu revoked certificates are too many to be kept", path, set->n);
	if (file_load(&there, path, &none) == 0 && there.len == now.len && memcmp(there.data, now.data, now.len) == 0)
		return 0;
	return file_save(path, now.data, now.len, 0600, err);
}

int
revocations_load(struct revocations *set, const char *path, struct err *err)
{
	CLEAR(buf) there = BUF_INIT(REVOCATIONS_MAX_BYTES);
	uint8_t digest[DIGEST_SHA256_LEN];
	struct revocations kept = { 0 };

	if (file_load(&there, path, err) < 0)
		return -1;
	if (there.len < sizeof(digest) || (there.len - sizeof(digest)) % sizeof(*kept.ids) != 0)
		return err_set(err, ERR_INVALID, "%s: it is damaged", path);
	digest_sha256(there.data + sizeof(digest), there.len - sizeof(digest), digest);
	if (memcmp(digest, there.data, sizeof(digest)) != 0)
		return err_set(err, ERR_INVALID, "%s: it is damaged", path);
	kept.ids = (struct id *)(void *)(there.data + sizeof(digest));
	kept.n = (there.len - sizeof(digest)) / sizeof(*kept.ids);
	revocations_merge(set, &kept);
	return 0;
}

/* -- Looking ------------------------------------------------------------------------------------------------------------------------- */

bool
revocations_have_id(const struct revocations *set, const uint8_t id[static REVOCATION_ID_LEN])
{
	return set && set->n > 0 && bsearch(id, set->ids, set->n, sizeof(*set->ids), compare) != NULL;
}

bool
revocations_have(const struct revocations *set, const struct cert *cert)
{
	uint8_t id[REVOCATION_ID_LEN];

	if (!set || set->n == 0)
		return false;
	revocation_id(cert, id);
	return revocations_have_id(set, id);
}

size_t
revocations_count(const struct revocations *set)
{
	return set ? set->n : 0;
}

int64_t
revocations_next(const struct revocations *set)
{
	return set ? set->next : 0;
}
