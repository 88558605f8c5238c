/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The record of a device or module: what the hub's registry holds, what a gateway keeps of its scope, what a decision needs.
 * Immutable and shared by reference; a change makes a new record. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"

#define IDENTITY_ID_MAX 128
#define IDENTITY_PARENTS_MAX 4

enum identity_auth { IDENTITY_AUTH_NONE, IDENTITY_AUTH_SAS, IDENTITY_AUTH_THUMBPRINT, IDENTITY_AUTH_CA };

struct identity {
	char *device_id, *module_id; /* module_id NULL: a device */
	char *generation_id, *etag;
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

struct identity *identity_new(const char *device_id, const char *module_id);
struct identity *identity_ref(const struct identity *identity);
void identity_free(struct identity *identity);
OWN_DEFINE(identity);
struct identity *identity_copy(const struct identity *identity); /* a new one, to be changed before it is shared */

/* Would a session that was opened under `before` be let in under `after` with the same evidence? */
bool identity_same_trust(const struct identity *before, const struct identity *after);
/* The same of a session that was opened by this thumbprint: what else stands in the slots is no matter.  NULL: it was not. */
bool identity_same_trust_by(const struct identity *before, const struct identity *after, const char *thumbprint);
/* A module as it is judged: disabled when its device is (or is not there).  Takes a reference and gives one; anything but a module comes back as it is. */
struct identity *identity_under(struct identity *module_take, const struct identity *device);

bool identity_id_is_valid(const char *id);			   /* the hub's alphabet, 1 to 128 characters (hub 4.4) */
char *identity_name(const char *device_id, const char *module_id); /* "dev" or "dev/mod": the key in maps and logs */

/* Device JSON of hub 4.4, all fields; with or without keys.  Parsing takes what a service sends (empty keys stay empty). */
json_t *identity_to_json(const struct identity *identity, bool connected, bool with_keys);
struct identity *identity_from_json(const json_t *json, struct err *err);
