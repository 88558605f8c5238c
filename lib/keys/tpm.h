/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys that are made in a TPM 2.0 and can be used by that TPM only.
 *
 * Such a key is kept as a file (wire/tss_key.h), encrypted by the TPM under the owner's storage key, which is made from the owner's seed whenever it is needed: clearing the TPM makes
 * all its keys worthless, and so does moving the file to another machine.  EC pairs sign by ECDSA, RSA pairs by the raw operation.  A symmetric key is sealed: the TPM keeps its bytes,
 * gives them out for a use and does not do the work itself; on the bus they are encrypted.
 *
 * The TPM is opened when a key in it is asked for first, and again by the next operation after it was away (ERR_UNAVAILABLE).  Any thread; all blocks. */

#include <stdint.h>

#include "base/secret.h"
#include "keys/key.h"

struct tpm;

/* tcti: as tpm2-tss has it ("device", "device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321"), or NULL: "device".  owner_auth: NULL where the owner has no password. */
struct tpm *tpm_new(const char *tcti, const struct secret *owner_auth);
void tpm_free(struct tpm *tpm); /* after all keys that came from it */
OWN_DEFINE(tpm);

/* The first of these kinds (key_alg_list) that the TPM can make.  The file's text is appended to pem. */
struct key *tpm_make_pair(struct tpm *tpm, const char *algorithms, struct buf *pem, struct err *err);
struct key *tpm_load_pair(struct tpm *tpm, const char *pem, size_t len, struct err *err);
struct key *tpm_load_persistent(struct tpm *tpm, uint32_t handle, struct err *err); /* ERR_MISSING */

int tpm_seal(struct tpm *tpm, const struct secret *secret, struct buf *pem, struct err *err);
int tpm_unseal(struct tpm *tpm, const char *pem, size_t len, struct secret *out, struct err *err);
