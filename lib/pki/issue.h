/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CSRs and certificates being made.  A CSR is a wish: what gets into the certificate is decided by the profile.  Serial numbers are 16
 * random bytes (top bit clear), notBefore is back-dated, a leaf never outlives its issuer (DESIGN 7). */

#include "pki/cert.h"

struct csr;
struct csr *csr_parse(const char *pem, size_t len, struct err *err); /* PEM; proof of possession is verified here */
struct csr *csr_from_der(const uint8_t *der, size_t len, struct err *err);
/* One whose key and signature count for nothing, because somebody makes the key for who asks (RFC 7030 4.4.1): with this key, and signed by it, in their place.  All else is as it
 * was asked. */
struct csr *csr_from_der_for(const uint8_t *der, size_t len, const struct key *key, struct err *err);
void csr_free(struct csr *csr);
OWN_DEFINE(csr);
const char *csr_common_name(const struct csr *csr);
EVP_PKEY *csr_public_key(const struct csr *csr); /* borrowed */
/* The names asked for: DNS names, IP addresses, "URI:..."; the caller frees each.  Returns how many. */
size_t csr_names(const struct csr *csr, char **out, size_t max);
size_t csr_count_names(const struct csr *csr); /* of any kind, those that csr_names can't tell too; SIZE_MAX: they can't be read */
size_t csr_count_common_names(const struct csr *csr); /* csr_common_name is the first of them */
/* What the request says of the TLS session it was made for (PKCS #9 challengePassword, RFC 7030 3.5): the caller owns *out. */
enum csr_challenge { CSR_NO_CHALLENGE, CSR_CHALLENGE, CSR_CROOKED_CHALLENGE };
enum csr_challenge csr_find_challenge(const struct csr *csr, char **out);
bool csr_wants_encryption(const struct csr *csr); /* of a key that is made for it (RFC 7030 4.4.1.1, 4.4.1.2) */
/* Its subject and its subjectAltName are those of the certificate, byte for byte. */
bool csr_is_named_as(const struct csr *csr, const struct cert *cert);
const uint8_t *csr_sha256(const struct csr *csr); /* of the whole request */
/* basicConstraints with CA:TRUE, keyUsage with keyCertSign or cRLSign, or one of them so that it can't be read. */
bool csr_asks_ca(const struct csr *csr);
X509_NAME *csr_subject(const struct csr *csr); /* borrowed */
/* Of what is asked for: the key, the subject and the extensions, whenever and for whichever session it was signed. */
void csr_wish_sha256(const struct csr *csr, uint8_t out[static DIGEST_SHA256_LEN]);
bool csr_wishes_same(const struct csr *a, const struct csr *b);
void csr_put_der(const struct csr *csr, struct buf *out);
bool csr_is_signed_safely(const struct csr *csr); /* with SHA-256 or more, or Ed25519 */

#define ISSUE_NAMES_MAX 64
#define ISSUE_COMMON_NAME_MAX 64 /* RFC 5280 ub-common-name */
#define ISSUE_BACKDATE_S 600

enum issue_kind { ISSUE_ROOT, ISSUE_INTERMEDIATE, ISSUE_EDGE_CA, ISSUE_SERVER, ISSUE_DEVICE, ISSUE_MODULE_IDENTITY };

struct profile {
	enum issue_kind kind;		    /* basicConstraints, keyUsage and extendedKeyUsage follow from it */
	X509_NAME *subject;		    /* borrowed; NULL: */
	const char *common_name;	    /* CN=this (at most 64 characters); the CSR's subject is not used */
	const char *names[ISSUE_NAMES_MAX]; /* SAN: DNS names, IP literals, or "URI:..." */
	size_t n_names;
	int path_len;			/* CAs: -1 none; capped by what the issuer may have below it */
	int64_t not_before, not_after;	/* seconds UTC; not_after is capped by the issuer's */
	const char *crl_url, *ocsp_url; /* where its revocation is told of; NULL: not said */
};

struct issuer {
	const struct cert *cert; /* NULL: self-signed, key is the subject's own */
	const struct key *key;
};

/* A DNS name or an IP address that certificates are issued for: narrower than what is accepted, without wildcards. */
bool issue_is_host(const char *text);
/* The same for what somebody writes down as the name of a server: digits and dots alone are an IPv4 address or a mistake (RFC 1123 2.1), and are taken for one by whoever looks such a
 * name up.  Ids of devices and modules may be such, and stand in certificates: issue_is_host knows nothing of this.  The error says which it is. */
int issue_check_server_name(const char *text, struct err *err);
struct cert *issue_cert(const struct profile *profile, EVP_PKEY *subject_public, const struct issuer *issuer, struct err *err);
/* The same for who only writes it down and hands it on, for less than half the work: the certificate has its bytes, names and dates, and no key that could be asked for. */
struct cert *issue_cert_bytes(
	const struct profile *profile, EVP_PKEY *subject_public, const struct issuer *issuer, struct err *err);
/* Is this extended use (NID_client_auth) one that a kind gives?  A CA's own may be named: what it issues is for servers and clients. */
bool issue_gives_use(enum issue_kind kind, int nid);
/* The extensions that it gets, as lines of a configuration of OpenSSL, for whoever would rather do it that way. */
void issue_put_extensions(struct buf *out, const struct profile *profile, const struct cert *issuer);
void issue_put_names(struct buf *out, const struct profile *profile); /* the same of its SAN alone */
/* cross.c: a root's certificate, signed by another CA: the same name, key and key id, as long as both are valid. */
struct cert *issue_cross(const struct cert *root, const struct issuer *issuer, struct err *err);
bool cert_is_cross(const struct cert *cert); /* made by that */
/* And as PEM. */
int issue_pem(
	const struct profile *profile, EVP_PKEY *subject_public, const struct issuer *issuer, struct buf *out, struct err *err);
/* A CSR made by the holder of `key` (which may be remote): PEM appended to out. */
int issue_csr(
	struct buf *out, const struct key *key, const char *common_name, const char *const *names, size_t n_names, struct err *err);

enum csr_use { CSR_USE_ANY, CSR_USE_CA, CSR_USE_EDGE_CA, CSR_USE_CLIENT };

/* The same with all that can be asked for. */
struct csr_wish {
	const struct cert *as; /* named as this one is: its subject and its alternative names; NULL: */
	X509_NAME *subject;    /* borrowed; NULL: CN=common_name */
	const char *common_name;
	const char *const *names;
	size_t n_names;
	enum csr_use use;      /* keyUsage, basicConstraints, extendedKeyUsage */
	int digest_bits;       /* 256, 384, 512; 0: as strong as the key */
	const char *challenge; /* which TLS session it is made for (RFC 7030 3.5); or NULL */
};
int issue_csr_wish(struct buf *out, const struct key *key, const struct csr_wish *wish, struct err *err);
