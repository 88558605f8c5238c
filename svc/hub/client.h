/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The hub's state folder as tools of its operator see it, whether the hub runs or not. */

#include "base/buf.h"
#include "base/err.h"

char *hub_client_store_path(const char *state_dir);
char *hub_client_events_path(const char *state_dir);

/* Give the policies keys that follow from a text, before the hub runs (policies_fix). */
int hub_client_fix_keys(const char *state_dir, const char *text, struct err *err);

/* Append "HostName=...;SharedAccessKeyName=...;SharedAccessKey=..." of a policy, or the connection string of a device or module. */
int hub_client_policy_string(struct buf *out, const char *state_dir, const char *policy, struct err *err);
int hub_client_device_string(struct buf *out, const char *state_dir, const char *device_id, const char *module_id, struct err *err);
