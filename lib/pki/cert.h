/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A certificate, a list of certificates (chain or bundle), and questions about them.  Certificates are immutable and shared by
 * reference.  Everything is read from DER once; nothing here decides about trust (chain.h does). */

#include <openssl/x509.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/own.h"
#include "base/rd.h"
#include "keys/key.h"

struct cert;

struct cert *cert_from_x509(X509 *x509); /* takes its own reference */
struct cert *cert_from_der(const uint8_t *der, size_t len, struct err *err);
/* Its notAfter and nothing else, without decoding its key, which is most of the work.  false: not even that can be read. */
bool cert_read_not_after(const uint8_t *der, size_t len, int64_t *out);
struct cert *cert_ref(struct cert *cert);
void cert_free(struct cert *cert);
OWN_DEFINE(cert);

X509 *cert_x509(const struct cert *cert); /* borrowed */
const uint8_t *cert_sha256(const struct cert *cert);
const uint8_t *cert_sha1(const struct cert *cert);
int64_t cert_not_before(const struct cert *cert); /* seconds UTC */
int64_t cert_not_after(const struct cert *cert);
const char *cert_subject(const struct cert *cert); /* "CN=dev1, O=Contoso", escaped, borrowed */
const char *cert_issuer(const struct cert *cert);
/* The one common name of the subject: NULL when there is none, more than one, or one with NUL or not UTF-8 (atk-03). */
const char *cert_common_name(const struct cert *cert);
bool cert_is_same(const struct cert *a, const struct cert *b);	  /* byte for byte */
bool cert_is_same_ca(const struct cert *a, const struct cert *b); /* the same name and key: renewed, or signed by another CA */
bool cert_is_ca(const struct cert *cert);
long cert_path_len(const struct cert *cert); /* how many CAs there may be below it; -1: any number */
bool cert_is_self_issued(const struct cert *cert);
bool cert_may_serve(const struct cert *cert);  /* extendedKeyUsage absent, or has serverAuth */
bool cert_may_client(const struct cert *cert); /* extendedKeyUsage absent, or has clientAuth */
char *cert_names(const struct cert *cert);     /* "DNS:a, IP:1.2.3.4": the SAN for people */
/* The SAN as csr_names has it, and how many names it has, of any kind (SIZE_MAX: it can't be read). */
size_t cert_alternative_names(const struct cert *cert, char **out, size_t max);
size_t cert_count_alternative_names(const struct cert *cert);
char *cert_find_uri(const struct cert *cert, const char *start); /* the first URI of the SAN that starts so, or NULL */
bool cert_matches_key(const struct cert *cert, const struct key *key);
bool cert_has_acceptable_key(const struct cert *cert); /* key_is_acceptable */
/* Names, usage and signature fit: one link of a chain, which says nothing about dates or trust. */
bool cert_is_issued_by(const struct cert *cert, const struct cert *issuer);
int cert_version(const struct cert *cert);	/* 3 */
char *cert_serial(const struct cert *cert);	/* "0A:1B": upper-case hex with colons; the caller owns it */
char *cert_serial_hex(const struct cert *cert); /* "0A1B", as others write it */
void cert_put_pem(const struct cert *cert, struct buf *out);
char *cert_pem(const struct cert *cert); /* the same as text that the caller owns; NULL for none */
void cert_put_der(const struct cert *cert, struct buf *out);
void cert_key_sha256(const struct cert *cert, uint8_t out[static DIGEST_SHA256_LEN]); /* of its public key (SubjectPublicKeyInfo) */
char *cert_line(const struct cert *cert);     /* one line for people: subject, until when, SHA-256 */
char *cert_key_text(const struct cert *cert); /* "EC P-256" */

/* cert_print.c: all that people ask of a certificate, as text and as a JSON object on one line. */
char *cert_uses(const struct cert *cert); /* "serverAuth, clientAuth": its extendedKeyUsage; NULL when it has none */
void cert_print(const struct cert *cert, int64_t now, struct buf *out, bool colour);
char *cert_json(const struct cert *cert);

/* Printed form of a fingerprint: upper-case hex with colons, as openssl prints it. */
#define CERT_FINGERPRINT_LEN (DIGEST_SHA256_LEN * 3)
const char *cert_fingerprint(const struct cert *cert, char out[static CERT_FINGERPRINT_LEN]);

/* certs: leaf first when it is a chain; no order when it is a bundle of anchors. */
#define CERTS_MAX 1024
struct certs {
	struct cert **item;
	size_t n;
};
void certs_clear(struct certs *certs);
void certs_add(struct certs *certs, struct cert *cert); /* takes its own reference */
/* All of them or none: one bad PEM block among good ones is a failure that names its line (atk-08); an empty text is a failure. */
int certs_parse(struct certs *out, const char *pem, size_t len, size_t max, struct err *err);
int certs_decode(struct certs *out, const struct buf *bytes, size_t max, struct err *err); /* PEM, or a single DER certificate */
int certs_load(struct certs *out, const char *path, size_t max, struct err *err);	   /* the same of a file */
void certs_put_pem(const struct certs *certs, struct buf *out);
bool certs_have(const struct certs *certs, const struct cert *cert); /* byte for byte */
/* As a server or device sends it: the first of `any`, its issuer, the issuer of that, as far as they are there; a self-issued one ends it.  What is left over is none of `out`. */
void certs_put_in_order(struct certs *out, const struct certs *any);
