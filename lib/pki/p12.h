/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* PKCS #12: a certificate with its key and those above it in one file under a password, for programs that take nothing else.  Written as today's programs read it (AES-256, PBKDF2 with
 * SHA-256); the key in it is as safe as the password is good. */

#include "pki/cert.h"

#define P12_PASSWORD_MAX 512

/* chain: the leaf first.  The key has to be that of the leaf, and one that can leave where it is (DENIED).  out has a private key: the caller wipes it. */
int p12_put(struct buf *out, const struct certs *chain, const struct key *key, const char *password, struct err *err);
