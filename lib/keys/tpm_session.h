/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The connection with a TPM, one user at a time, and the owner's storage key in it: what tpm.c and tpm_seal.c work with. */

#include <pthread.h>

#include "keys/tpm.h"
#include "keys/tpm_library.h"
#include "wire/tss_key.h"

struct tpm {
	char *tcti;
	struct secret owner_auth;
	pthread_mutex_t lock;
	const struct tpm_library *lib; /* NULL: not loaded yet */
	TSS2_TCTI_CONTEXT *connection; /* NULL: not open */
	ESYS_CONTEXT *esys;
	ESYS_TR primary;
};

/* Runs the step with an open TPM, and once more with a new connection when it fails with UNAVAILABLE. */
int tpm_session_do(struct tpm *tpm, int (*step)(struct tpm *tpm, void *arg, struct err *err), void *arg, struct err *err);

/* Inside of a step. */
int tpm_session_fail(struct tpm *tpm, TSS2_RC rc, const char *doing, struct err *err);
int tpm_session_load(struct tpm *tpm, const struct tss_key *key, ESYS_TR *object, struct err *err);
void tpm_session_flush(struct tpm *tpm, ESYS_TR object);
/* A new object under the owner's storage key; its secret data, if it has any, goes there encrypted. */
int tpm_session_create(
	struct tpm *tpm, const TPM2B_PUBLIC *public, const struct secret *data, struct tss_key *out, struct err *err);
/* For one command: with this its parameters, in or out, are encrypted on the way. */
int tpm_session_protect(struct tpm *tpm, TPMA_SESSION direction, ESYS_TR *session, struct err *err);
void tpm_session_unprotect(struct tpm *tpm, ESYS_TR session, TSS2_RC rc); /* what the command answered */
