/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A key pair in a token: a private and a public object that have one CKA_ID; what finds them is the label.  All but the last are steps of pkcs11_token_do. */

#include <openssl/evp.h>

#include "keys/key.h"
#include "keys/pkcs11_token.h"

/* What a pair that is being replaced is called until it is gone. */
#define PKCS11_REPLACED "%s (replaced)"

struct pkcs11_pair {
	struct pkcs11_token *token;
	char *label; /* NULL: the id alone names it */
	uint8_t id[PKCS11_ID_MAX];
	size_t id_len;
	CK_OBJECT_HANDLE private;
	unsigned generation; /* of the session that `private` belongs to */
	EVP_PKEY *public_half;
	bool is_rsa, is_eddsa;
};

struct pkcs11_pair *pkcs11_pair_new(struct pkcs11_token *token, const struct pkcs11_uri *uri);
void pkcs11_pair_free(struct pkcs11_pair *pair);
OWN_DEFINE(pkcs11_pair);

/* 1: found; 0: the token has none of that name; -1. */
int pkcs11_pair_find(struct pkcs11_token *t, struct pkcs11_pair *pair, struct err *err);
int pkcs11_pair_find_private(struct pkcs11_token *t, struct pkcs11_pair *pair, const char *label, struct err *err); /* called so */
/* After the token was away.  The handle is another; the key must not be: ERR_MISSING. */
int pkcs11_pair_find_again(struct pkcs11_token *t, struct pkcs11_pair *pair, struct err *err);
int pkcs11_pair_take_public(struct pkcs11_token *t, struct pkcs11_pair *pair, struct err *err);
int pkcs11_pair_relabel(struct pkcs11_token *t, const struct pkcs11_pair *pair, const char *label, struct err *err);
int pkcs11_pair_destroy(struct pkcs11_token *t, const struct pkcs11_pair *pair, struct err *err);

/* The key that signs with it (pkcs11_sign.c). */
struct key *pkcs11_pair_key(struct pkcs11_pair *pair_take, struct err *err);
