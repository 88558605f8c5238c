/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A token and the one session that is held with it.  A token that was pulled out and put back is opened again by the next operation, without a restart of
 * ours: whatever an operation has found out is bound to the `generation` of its session.
 *
 * A PIN that a token refused is not tried again: three tries lock most tokens for good. */

#include "base/digest.h"
#include "keys/pkcs11_module.h"

struct pkcs11_token {
	struct pkcs11_module *module; /* borrowed */
	struct pkcs11_uri *uri;	      /* its object is of no interest here */
	bool is_open;
	unsigned generation; /* the module's, when this session was opened */
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session;
	bool refused; /* this PIN (its digest): */
	uint8_t refused_pin[DIGEST_SHA256_LEN];
	struct pkcs11_token *next;
};

struct pkcs11_token *pkcs11_token_new(struct pkcs11_module *module, const struct pkcs11_uri *uri);
void pkcs11_token_free(struct pkcs11_token *t);

/* Runs the step with an open session, and once more with a new one when it fails with UNAVAILABLE. */
int pkcs11_token_do(
	struct pkcs11_token *t, int (*step)(struct pkcs11_token *t, void *arg, struct err *err), void *arg, struct err *err);

/* Inside of a step. */
#define PKCS11_FOUND_MAX 16
/* Objects of a class; a label that is NULL or an id of length 0 doesn't count.  Returns how many, at most PKCS11_FOUND_MAX; 0 only when the token was
 * asked and has none (some answer so when they are gone). */
int pkcs11_token_find(struct pkcs11_token *t, CK_OBJECT_CLASS class, const char *label, const void *id, size_t id_len,
	CK_OBJECT_HANDLE found[static PKCS11_FOUND_MAX], struct err *err);
/* An attribute's bytes; the length, or -1.  Absent ones are ERR_MISSING. */
int pkcs11_token_attribute(
	struct pkcs11_token *t, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, uint8_t *out, size_t size, struct err *err);
int pkcs11_token_destroy(struct pkcs11_token *t, CK_OBJECT_HANDLE object, struct err *err);
int pkcs11_token_relabel(struct pkcs11_token *t, CK_OBJECT_HANDLE object, const char *label, struct err *err);
/* Has the token this mechanism, for these uses (CKF_SIGN, ...), and where size is not 0, for this size of key? */
bool pkcs11_token_has(struct pkcs11_token *t, CK_MECHANISM_TYPE mechanism, CK_FLAGS uses, CK_ULONG size);
