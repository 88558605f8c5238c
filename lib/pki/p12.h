/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* PKCS #12: a certificate with its key and those above it in one file under a password, for programs that take nothing else.  Written as today's programs read it (AES-256, PBKDF2 with
 * SHA-256); the key in it is as safe as the password is good. */

#include "pki/cert.h"

#define P12_PASSWORD_MAX 512

/* chain: the leaf first.  The key has to be that of the leaf, and one that can leave where it is (DENIED).  out has a private key: the caller wipes it. */
int p12_put(struct buf *out, const struct certs *chain, const struct key *key, const char *password, struct err *err);

/* Reading takes the certificates and leaves the keys as they are, encrypted. */
bool p12_is(const struct buf *bytes); /* it begins as such a file does */
/* The certificate of the key first, the others in their order; at least one.  password: "" where there is none.  DENIED: it is another one; LIMIT: more rounds than P12_ROUNDS_MAX, or more
 * certificates than max; INVALID also names an encryption that is not read any more (RC2, as programs wrote it until 2021), and one that is not read
 * yet (PBMAC1, by OpenSSL before 3.4). */
#define P12_ROUNDS_MAX 10000000 /* some seconds */
int p12_take_certs(struct certs *out, const struct buf *bytes, const char *password, size_t max, struct err *err);
