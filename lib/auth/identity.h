/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The record of a device or module: what the hub's registry holds, what a gateway keeps of its scope, what a decision needs.
 * Immutable and shared by reference; a change makes a new record. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"

#define IDENTITY_ID_MAX 128
#define IDENTITY_PARENTS_MAX 4

enum identity_auth { IDENTITY_AUTH_NONE, IDENTITY_AUTH_SAS, IDENTITY_AUTH_THUMBPRINT, IDENTITY_AUTH_CA };

/* Who it is, and which life of it: what was deleted and made again has another generation.  For those who need not know, or keep, more. */
struct subject {
	char *device_id, *module_id, *generation_id;
};

struct identity {
	union { /* who it is, also as one */
		struct subject subject;
		struct {
			char *device_id, *module_id; /* module_id NULL: a device */
			char *generation_id;
		};
	};
	char *etag;
	char *scope;			     /* deviceScope, NULL when none */
	char *parents[IDENTITY_PARENTS_MAX]; /* parentScopes */
	size_t n_parents;
	char *status_reason, *managed_by;
	bool enabled, is_edge;
	enum identity_auth auth;
	struct secret keys[2];		 /* primary, secondary; decoded */
	char *thumbprints[2];		 /* normalised: upper-case hex without separators, 40 or 64 digits; NULL when empty */
	int64_t created, status_updated; /* seconds UTC */
};

struct subject identity_subject(const struct identity *identity); /* borrows from it */
struct subject subject_copy(const struct subject *subject);	  /* owned */
void subject_clear(struct subject *subject);			  /* an owned one */
char *subject_name(const struct subject *subject);		  /* as identity_name */

struct identity *identity_new(const char *device_id, const char *module_id);
struct identity *identity_ref(const struct identity *identity);
void identity_free(struct identity *identity);
OWN_DEFINE(identity);
struct identity *identity_copy(const struct identity *identity); /* a new one, to be changed before it is shared */

/* All of a record that letting a session in stands on, as a digest, so that a session need not keep the record and its keys: while it stays the same, the same evidence would
 * be let in.  Of one that was opened by a thumbprint, that counts and not what else stands in the slots; NULL: it was not. */
void identity_ground(const struct identity *identity, const char *thumbprint, uint8_t out[static DIGEST_SHA256_LEN]);
/* Would a session that was opened under `before` be let in under `after` with the same evidence? */
bool identity_same_trust(const struct identity *before, const struct identity *after);
/* A module as it is judged: disabled when its device is (or is not there).  Takes a reference and gives one; anything but a module comes back as it is. */
struct identity *identity_under(struct identity *module_take, const struct identity *device);

bool identity_id_is_valid(const char *id);			   /* the hub's alphabet, 1 to 128 characters (hub 4.4) */
char *identity_name(const char *device_id, const char *module_id); /* "dev" or "dev/mod": the key in maps and logs */
#define IDENTITY_SCOPE_PREFIX "ms-azure-iot-edge://"
char *identity_scope_device(const char *
		scope); /* the id of the gateway that such a scope would be of, or NULL; there may be none, or one with another scope by now */

/* Device JSON of hub 4.4, all fields; with or without keys.  Parsing takes what a service sends (empty keys stay empty). */
json_t *identity_to_json(const struct identity *identity, bool connected, bool with_keys);
struct identity *identity_from_json(const json_t *json, struct err *err);
