/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An enrollment: who may register at the provisioning service, what it has to show, and what becomes of it in a hub (hub 6.5, 7).  An individual one is for
 * one registration id, a group for all that its key or its CA vouches for. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "pki/cert.h"

#define ENROLLMENT_ID_MAX 128
#define ENROLLMENT_COMMON_NAME_MAX 64 /* hub 6.5: what a CN can hold */

enum enrollment_proof { ENROLLMENT_BY_KEY, ENROLLMENT_BY_CERT, ENROLLMENT_BY_CA, ENROLLMENT_BY_TPM };

struct enrollment {
	char *id; /* registrationId, or enrollmentGroupId; as it was written first */
	bool is_group, enabled;
	enum enrollment_proof proof;
	struct secret keys[2]; /* BY_KEY: primary, secondary; decoded.  BY_TPM: what its keys follow from (tpm_secret.h) */
	struct cert *certs[2]; /* BY_CERT: the device's own; BY_CA: its issuer's; NULL when empty */
	char *endorsement_key, *storage_root_key; /* BY_TPM: base64 of TPM2B_PUBLIC, in its one spelling; the second may be NULL */
	char *ca_names
		[2]; /* BY_CA: of registered CAs, which stand in certs while they are verified (enrollment_resolve); NULL: it has its own */
	char *device_id; /* individual: NULL takes the registration id */
	json_t *wishes;	 /* what becomes of the device, as it was sent and checked: capabilities, initialTwin, policies, ... */
	char *etag;	 /* as it stands in JSON */
	int64_t created, updated;
	unsigned refs; /* of one thread, the registry's worker */
};

struct enrollment *enrollment_new(const char *id, bool is_group);
struct enrollment *enrollment_ref(const struct enrollment *enrollment);
void enrollment_free(struct enrollment *enrollment);
OWN_DEFINE(enrollment);

bool enrollment_has_ca_names(const struct enrollment *enrollment);
struct ca_registry;
/* Those of its names that are of a verified CA now become its certs.  Once, on what was read from the store. */
void enrollment_resolve(struct enrollment *enrollment, const struct ca_registry *cas);

/* Letters, digits and "-._:", at most 128, the last one a letter, a digit or "-" (hub 6). */
bool enrollment_id_is_valid(const char *id);
/* Ids that differ in case only are the same: the form under which they are kept and looked for.  The caller owns it. */
char *enrollment_id_fold(const char *id);

/* -- JSON (hub 7; enrollment_json.c) -----------------------------------------------------------------------------------------
 * From what a service sends, to the record that is kept.  `before` is what is there, or NULL: what an update does not repeat because it was never told
 * (keys, certificates) stays.  Keys that nobody gave are made.  The etag is new with each change. */
struct enrollment_wish {
	const char *id; /* of the path: one in the body must be the same */
	bool is_group;
	const json_t *body;
	const struct enrollment *before;
	int64_t now;
};
struct enrollment *enrollment_compose(const struct enrollment_wish *wish, struct err *err);
json_t *enrollment_to_json(const struct enrollment *enrollment); /* tells no key, and of certificates what they say */
json_t *enrollment_cert_json(const struct cert *cert, bool with_pem);
json_t *enrollment_attestation_json(const struct enrollment *enrollment, bool with_keys);
char *enrollment_etag(
	void); /* a new one: the base64 of a quoted uuid, as clients know it (hub 6.4); a registration has such a one, too */
