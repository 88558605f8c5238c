/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The keys that an enrolled TPM gets.  They follow from a secret of the enrollment (keys[0]), from its endorsement key and from the storage root key that they are wrapped
 * for, so nothing has to be kept of who asked: a challenge writes nothing, no stranger's challenge takes the place of the device's, and a restart loses none.
 *
 * The key of a challenge changes with the time: it is taken in the window in which it was given and in the one after it, and is no key any more then.
 *
 * The key at the hub stays: a device that registers again keeps its connections.  A TPM that was cleared has another storage root key, and so gets another one. */

#include "hub/provisioning/enrollment.h"

#define TPM_CHALLENGE_WINDOW_S 300
#define TPM_CHALLENGE_WINDOWS 2 /* in which it is taken */

/* age 0: what is given now; 1: what was given in the window before. */
void tpm_challenge_key(struct secret *out, const struct enrollment *e, const char *storage_root_key, int64_t now, int age);
/* Primary, which the TPM gets, and secondary, which nobody has. */
void tpm_hub_keys(struct secret out[static 2], const struct enrollment *e, const char *storage_root_key);
