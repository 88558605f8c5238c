/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A key pair and what one can do with it, wherever the private half lives.
 *
 * Back ends: a PEM file, memory, a PKCS #11 token (pkcs11.h), a TPM (tpm.h), and from a service's side the remote one (svc/keyd/client.h), whose private half
 * stays in keyd.  Whatever the back end, key_pkey gives an EVP_PKEY that TLS
 * and X.509 code can sign with: for a remote key it belongs to our own OpenSSL provider (key_provider.c), which turns
 * a signature into a request.  Keys are immutable and may be shared by threads (key_ref). */

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

/* Before anything else of OpenSSL, in a process that has nothing but keys: no file of settings, which could load modules into it, and no error texts, which take memory. */
void key_start_small(void);

struct key;

enum key_alg { KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048, KEY_RSA_3072, KEY_RSA_4096, KEY_ED25519 };
const char *key_alg_name(enum key_alg alg); /* "ec-p256", as in configuration */
bool key_alg_parse(const char *name, enum key_alg *alg);
#define KEY_ALGS 6
/* The original's preference list, "rsa-2048:*" (edge-services 9.2), the best first; a back end takes the first one that it can make.  Unknown names are overlooked, "*" is ec-p256 and
 * rsa-2048; a list with nothing in it is "*".  Returns how many there are, at least 1. */
size_t key_alg_list(const char *list, enum key_alg out[static KEY_ALGS]);
enum key_alg key_alg_prefer(const char *list); /* the first: memory and files can make all */

struct key *key_generate(enum key_alg alg, struct err *err); /* in memory */
struct key *key_from_pem(
	const char *pem, size_t len, struct err *err); /* PKCS#8, SEC1, PKCS#1; encrypted ones are refused by name */
struct key *key_load(const char *path, struct err *err);
struct key *key_from_pkey_take(EVP_PKEY *pkey);
int key_to_pem(const struct key *key, struct buf *out, struct err *err); /* PKCS#8; DENIED when the private half can't leave */
int key_save(const struct key *key, const char *path, struct err *err);	 /* atomically, 0600 */

struct key *key_ref(struct key *key);
void key_free(struct key *key); /* drops one reference */
OWN_DEFINE(key);

EVP_PKEY *key_pkey(const struct key *key);	 /* borrowed */
const char *key_describe(const struct key *key); /* "EC P-256", borrowed */
#define KEY_DESCRIBE_LEN 48
void key_pkey_describe(const EVP_PKEY *pkey, char out[static KEY_DESCRIBE_LEN]); /* the same for any EVP_PKEY */
bool key_is_acceptable(const EVP_PKEY *pkey);					 /* RSA >= 2048, EC P-256/384/521, Ed25519 */
/* Which of our kinds it is: what a profile may allow.  false: none of them, or one that only looks like it (a curve spelt out in parameters, an RSA
 * exponent that is too small). */
bool key_pkey_alg(const EVP_PKEY *pkey, enum key_alg *alg);

/* A remote private half.  sign: over the digest `tbs` (EC: the result is a DER ECDSA-Sig-Value; RSA: the raw private-key operation on an
 * already padded block of the modulus' size; Ed25519: `tbs` is the message itself).  Called from any thread, may block.  Returns 0, or -1 with err. */
struct key_remote_ops {
	int (*sign)(void *arg, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len, struct err *err);
	void (*release)(void *arg);
};
/* `public_pkey` gives the public half (copied).  The key owns arg from now on (released by ops->release). */
struct key *key_remote_new(const EVP_PKEY *public_pkey, const struct key_remote_ops *ops, void *arg, struct err *err);
bool key_is_remote(const struct key *key);
/* ops->sign itself: the way through OpenSSL makes one failure of all that may have happened there. */
int key_remote_sign(const struct key *key, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len, struct err *err);
/* After something of OpenSSL's has failed: was it the other side that did not sign, and what did it say?  OpenSSL's queue of this thread is empty then. */
bool key_remote_failure(struct err *err);
