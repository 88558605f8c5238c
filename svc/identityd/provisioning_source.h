/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where this device's identity comes from, as configured (edge-services 5.2): it stands in the configuration (manual), provisioning tells it (dps), or there is none.  Pure. */

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"

enum source_kind { SOURCE_MANUAL, SOURCE_DPS, SOURCE_NONE };
enum source_proof { PROOF_KEY, PROOF_CERTIFICATE, PROOF_TPM };

/* When the device registers anew by itself, beside the first time and when it is told to.  With each of them it does when the hub refuses it at a start. */
enum source_mode {
	MODE_DYNAMIC,		/* when the hub refuses it, at any time */
	MODE_ALWAYS_ON_STARTUP, /* at each start */
	MODE_ON_ERROR_ONLY,	/* not otherwise */
};

struct provisioning_source {
	enum source_kind kind;
	enum source_proof proof;
	enum source_mode mode;
	char *hub_name, *device_id;		     /* manual */
	char *endpoint, *scope_id, *registration_id; /* dps; the registration id may be NULL: the certificate's common name */
	json_t *payload;			     /* dps, or NULL */
};

/* Of identityd's configuration. */
int provisioning_source_take(struct provisioning_source *out, const json_t *config, struct err *err);
void provisioning_source_clear(struct provisioning_source *source);
const char *provisioning_source_proof_name(const struct provisioning_source *source); /* "sas", "symmetric_key", "x509", "tpm" */
const char *source_mode_name(enum source_mode mode);
/* What GET /identities/provisioning says (edge-services 1.3). */
json_t *provisioning_source_json(const struct provisioning_source *source, const char *registration_id);
