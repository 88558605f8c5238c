/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How this device proves who it is, to the hub and to provisioning alike: by a certificate, by a token signed with its symmetric key in keyd, or by one that its TPM signs.  What is secret
 * stays in keyd or the TPM.  Calls block; any thread. */

#include "identityd/device_certificate.h"
#include "identityd/provisioning_source.h"
#include "keyd/client.h"
#include "pki/cert.h"

#define DEVICE_KEY_ID "device-id"

struct device_credential {
	enum source_proof proof;
	struct keyd_client *keyd;
	char *certd_socket, *tpmd_socket;
	struct device_certificate certificate;
	const struct certs *trial_chain; /* instead of it: a pair that is not in force yet */
	const struct key *trial_key;
};

/* For one call. */
struct credential_use {
	struct certs chain;
	struct key *key;
	char *authorization; /* a header line, or NULL */
};

void device_credential_clear(struct device_credential *credential);
/* resource: what a token is for; policy: its skn, or NULL. */
int device_credential_use(struct credential_use *out, struct device_credential *credential, const char *resource,
	const char *policy, struct err *err);
void credential_use_clear(struct credential_use *use); /* of one that was filled, or is all zero */

/* A digest that another credential does not have; one that is issued anew keeps it.  The caller owns the text. */
char *device_credential_digest(struct device_credential *credential, struct err *err);
char *device_credential_common_name(struct device_credential *credential, struct err *err); /* of the certificate */
/* "auth" of the device's Identity (edge-services 1.3). */
json_t *device_credential_auth(struct device_credential *credential, struct err *err);
