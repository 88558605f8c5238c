/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What key_provider.c and remote_signature.c share: a key whose private half is elsewhere. */

#include <stdatomic.h>

#include <openssl/core.h>

#include "keys/key.h"

struct remote_key {
	EVP_PKEY *public_half;
	const struct key_remote_ops *ops;
	void *arg;
	bool is_rsa, is_eddsa;
	atomic_int n_refs;
};

struct remote_key *remote_key_ref(struct remote_key *key);
void remote_key_free(struct remote_key *key);

extern const OSSL_DISPATCH remote_signature[]; /* ECDSA, RSA */
extern const OSSL_DISPATCH remote_eddsa[];
