/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys in PKCS #11 tokens (edge-services 9.3): smart cards, HSMs, SoftHSM, TPMs behind tpm2-pkcs11.
 *
 * A key is named by a URI (wire/pkcs11_uri.h): which token, which object.  Modules are loaded and tokens are opened when a key in them is asked for first, never
 * before.  A token that is away makes an operation fail with ERR_UNAVAILABLE, and is opened again by the next one after it is back; a key that is found again
 * must have the public half that it had.  ERR_MISSING always means: the token is there and has no such key.
 *
 * New keys are in the token's own memory, private, sensitive and not extractable.  Any thread; all blocks. */

#include "keys/key.h"
#include "keys/symmetric_key.h"
#include "wire/pkcs11_uri.h"

struct pkcs11;

/* The module of URIs that name none, or NULL. */
struct pkcs11 *pkcs11_new(const char *module_path);
void pkcs11_free(struct pkcs11 *p); /* after all keys that came from it */
OWN_DEFINE(pkcs11);

struct key *pkcs11_load_pair(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err);
/* With the URI's object as label: the pair that is there, or the first of these kinds (key_alg_list) that the token can make. */
struct key *pkcs11_make_pair(struct pkcs11 *p, const struct pkcs11_uri *uri, const char *algorithms, struct err *err);
int pkcs11_delete_pair(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err); /* absent is fine */
/* To another label in the same token; a pair that had it is deleted.  Whenever this is broken off, the pair of that label is the old one or the new. */
int pkcs11_move_pair(struct pkcs11 *p, const struct pkcs11_uri *from, const char *to, struct err *err);

enum pkcs11_use { PKCS11_SIGN, PKCS11_ENCRYPT }; /* HMAC-SHA256, and keys derived by it; AES-GCM */
/* Does this token do that at all?  1, 0, or -1 with err. */
int pkcs11_can(struct pkcs11 *p, const struct pkcs11_uri *uri, enum pkcs11_use use, struct err *err);
struct symmetric_key *pkcs11_load_symmetric(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err);
/* With these bytes, or (NULL) with 32 of the token's own.  One that is there is returned as it is; with bytes it is replaced. */
struct symmetric_key *pkcs11_make_symmetric(
	struct pkcs11 *p, const struct pkcs11_uri *uri, enum pkcs11_use use, const struct secret *bytes, struct err *err);
int pkcs11_delete_symmetric(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err); /* absent is fine */
