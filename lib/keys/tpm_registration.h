/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The keys that provisioning knows a TPM by, and the one that it gives it (edge-services 9.5): the endorsement key at 0x81010001, the storage root key at 0x81000001, both made from their
 * templates where they are not there, and an HMAC key of the service's at a handle that may be chosen.  That key comes encrypted for this TPM (tpm_wrap.h), and is plain in it only.
 *
 * Handles are the TPM's own memory: they stay over restarts, and other programs that go by the same numbers find the same keys.  Any thread; all blocks. */

#include "base/buf.h"
#include "base/secret.h"
#include "keys/tpm.h"

#define TPM_REGISTRATION_KEY_BASE 0x81000000u
#define TPM_REGISTRATION_KEY_INDEX 0x000100u
#define TPM_REGISTRATION_KEY_INDEX_MAX 0x7fffffu

struct tpm_registration {
	struct tpm *tpm;		/* borrowed */
	uint32_t key_index;		/* of the HMAC key, above the base */
	struct secret endorsement_auth; /* of the hierarchy; length 0: none */
};

/* TPM2B_PUBLIC each, appended. */
int tpm_registration_keys(
	const struct tpm_registration *r, struct buf *endorsement_key, struct buf *storage_root_key, struct err *err);
/* ERR_INVALID: it is none, or not for this TPM.  The key that was there stays until the new one is known to be good. */
int tpm_registration_import(const struct tpm_registration *r, const void *blob, size_t len, struct err *err);
int tpm_registration_sign(const struct tpm_registration *r, const void *data, size_t len, uint8_t out[static 32], struct err *err);
