/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The bodies of EST (RFC 7030, RFC 8951), apart from HTTP: what a server answers and a client asks.  All is base64 of DER, whatever a header says of its encoding.
 * Written in lines of 64 with a final line end, which old clients insist on (est.md); read with white space anywhere, and as PEM or plain DER too, which servers
 * and clients of the field send. */

#include "pki/cert.h"
#include "pki/issue.h"

#define EST_BODY_MAX (64 * 1024)
#define EST_CERTS_MAX 32

/* base64 of a DER structure, for the other functions here and for keys (RFC 7030 4.4). */
void est_put_der(struct buf *out, const void *der, size_t len);
/* The DER of a body: `label` is that of a PEM block that may stand around it.  0, or -1 with err. */
int est_take_der(struct buf *der, const char *label, const void *body, size_t len, struct err *err);

/* Certificates: a CMS SignedData without content and signers (RFC 7030 4.1.3), in their order. */
int est_put_certs(struct buf *out, const struct certs *certs, struct err *err);
/* At least one, at most EST_CERTS_MAX; added to `out`, all or none. */
int est_take_certs(struct certs *out, const void *body, size_t len, struct err *err);

/* A request (PKCS #10), whose proof of possession is verified. */
struct csr *est_take_csr(const void *body, size_t len, struct err *err);
/* The same for a key that the server has made (csr_from_der_for). */
struct csr *est_take_csr_for(const void *body, size_t len, const struct key *key, struct err *err);

/* The private key itself (PrivateKeyInfo, RFC 7030 4.4.2): the caller wipes `out`.  DENIED when it can't leave where it is. */
int est_put_key(struct buf *out, const struct key *key, struct err *err);
