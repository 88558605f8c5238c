/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The state folder of the hub, or of provisioning alone, as tools of its operator see it, whether it runs or not. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

char *hub_client_store_path(const char *state_dir);
char *hub_client_events_path(const char *state_dir);
char *hub_client_journal_path(const char *state_dir);	   /* of what its CA issued */
char *hub_client_provisioning_path(const char *state_dir); /* of provisioning alone */
#define PROVISIONING_STATE_DEFAULT "/var/lib/rootedge/provisioning"

/* Give the policies keys that follow from a text, before the hub runs (policies_fix). */
int hub_client_fix_keys(const char *state_dir, const char *text, struct err *err);

/* Append "HostName=...;SharedAccessKeyName=...;SharedAccessKey=..." of a policy, or the connection string of a device or module. */
int hub_client_policy_string(struct buf *out, const char *state_dir, const char *policy, struct err *err);
int hub_client_device_string(struct buf *out, const char *state_dir, const char *device_id, const char *module_id, struct err *err);
/* The same for provisioning, in a hub or alone.  HostName has its port, unless that is the one that everybody knows. */
int hub_client_provisioning_string(struct buf *out, const char *state_dir, const char *policy, struct err *err);
/* {"idScope", "serviceOperationsHostName"}, as of its last start. */
json_t *hub_client_provisioning_json(const char *state_dir, struct err *err);

/* Devices and modules into the registry of a hub that doesn't run; none can start before hub_seed_close.  Each as in the REST API, with `id` or
 * `deviceId`, and `parent`, the id of a gateway, in place of its scope.  One that is there already is left as it is, or replaced where `update` says so;
 * one that can't be is told to `refused` with the line that it came from. */
struct hub_seed_counts {
	uint64_t created, updated, existing, refused;
};

struct hub_seed;
struct hub_seed *hub_seed_open(
	const char *state_dir, bool update, void (*refused)(void *arg, uint64_t line, const char *why), void *arg, struct err *err);
/* Borrows the JSON and may change it.  -1: the database; what was flushed before is durable. */
int hub_seed_put(struct hub_seed *seed, json_t *json, uint64_t line, struct err *err);
int hub_seed_flush(struct hub_seed *seed, struct err *err); /* all that was put is durable, and counted */
struct hub_seed_counts hub_seed_counts(const struct hub_seed *seed);
void hub_seed_close(struct hub_seed *seed);
