/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys by id, and where each lies (edge-services 9.1, 9.3).
 *
 * A preloaded id is where the operator says, in a file, a token or the TPM, and nowhere else; it is never made.  Any other id is looked for in the base token, where there is one, under the id as
 * label, and then in keyd's folder: pairs as PKCS#8 PEM, symmetric keys as raw bytes.  New keys go to the base token; without one into the folder, as plain files or, with
 * tpm_base, as files that only the TPM can use.  keyd's own secret is always plain: it is needed before anything else.  A token or TPM that is away is a failure
 * (ERR_UNAVAILABLE), never a reason to look or to make elsewhere.  Only symmetric keys of a use that the token has no mechanism for go into the folder, and the log says so.
 *
 * Create means create if absent; a file that is there and can't be read is a failure and stays untouched (the original overwrites it).  Any thread: operations on one id wait for each
 * other, and for no other id. */

#include <jansson.h>

#include "base/secret.h"
#include "keys/key.h"
#include "keys/pkcs11.h"
#include "keys/tpm.h"

struct key_store;

struct key_store_config {
	const char *dir;
	const json_t *preloaded;      /* {"id": a path, or a URI "pkcs11:..." or "tpm:handle=..."}, or NULL */
	const char *pkcs11_module;    /* of URIs that name none, or NULL */
	const char *pkcs11_base;      /* URI of the token that new keys are made in, or NULL */
	const char *tpm_tcti;	      /* tpm.h */
	struct secret tpm_owner_auth; /* length 0: none */
	bool tpm_base;		      /* new keys are made in the TPM */
};

struct key_store *key_store_open(const struct key_store_config *config, struct err *err);
void key_store_close(struct key_store *store);

struct key *key_store_load_pair(struct key_store *store, const char *id, struct err *err); /* ERR_MISSING */
/* The same to sign with: the one that was loaded last, however long ago. */
struct key *key_store_use_pair(struct key_store *store, const char *id, struct err *err);
/* The same when it signs in no time, and is in memory: EC P-256 and not in a token or TPM.  NULL: not so. */
struct key *key_store_quick_pair(struct key_store *store, const char *id);
struct key *key_store_create_pair(struct key_store *store, const char *id, const char *algorithms, struct err *err);
int key_store_delete_pair(struct key_store *store, const char *id, struct err *err);
/* Overwrites `to`, in the same place: from a token into a file, or the other way, is refused. */
int key_store_move_pair(struct key_store *store, const char *from, const char *to, struct err *err);

enum key_store_usage { KEY_STORE_SIGN = 1, KEY_STORE_ENCRYPT = 2 }; /* or both; HMAC and derivation, AEAD */
struct symmetric_key *key_store_load_symmetric(struct key_store *store, const char *id, struct err *err);
struct symmetric_key *key_store_create_symmetric(struct key_store *store, const char *id, int usage, struct err *err);
int key_store_import_symmetric(struct key_store *store, const char *id, int usage, const void *bytes, size_t len, struct err *err);
int key_store_delete_symmetric(struct key_store *store, const char *id, struct err *err);

/* keyd's own: in its folder, whatever the base. */
int key_store_own_secret(struct key_store *store, const char *id, struct secret *out, struct err *err);

/* The TPM that keys are made in, for its other uses; borrowed. */
struct tpm *key_store_tpm(struct key_store *store);
