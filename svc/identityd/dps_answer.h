/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What provisioning answers to a device (hub 6.1, 6.4), read and judged.  Pure: status and body in, what it means out. */

#include <jansson.h>

#include "base/err.h"

enum dps_step {
	DPS_ASSIGNED,	/* hub and device_id */
	DPS_ASSIGNING,	/* operation, perhaps; ask again after retry_after_s */
	DPS_CHALLENGED, /* authentication_key is for the TPM; then the same again */
	DPS_BUSY,	/* ask again after retry_after_s; err says why */
	DPS_REFUSED,	/* err says why */
};

struct dps_answer {
	char *operation;
	char *hub, *device_id;
	char *authentication_key; /* base64: of the challenge, or of the key at the hub */
	json_t *payload;	  /* what a custom allocation has for the device, or NULL */
	int64_t retry_after_s;	  /* -1: not said */
};

/* body may be NULL.  retry_after_s: the header's, or -1.  err is filled for BUSY and REFUSED: its kind is LIMIT when it is too much, UNAVAILABLE when the service is in
 * trouble, DENIED when it does not let the device in, INVALID when the answer is none. */
enum dps_step dps_answer_take(struct dps_answer *out, int status, const json_t *body, int64_t retry_after_s, struct err *err);
void dps_answer_clear(struct dps_answer *answer);
