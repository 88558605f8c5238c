/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What each role is told: its configuration, made from config.toml, 0600 and owned by the role. */

#include "edge/layout.h"

/* The roots that the system trusts, for those who reach servers of others. */
#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

/* What it would be told, with the operator's own files in the place of copies; NULL for the gateway, which is told by arguments.  Pure; the caller owns it. */
json_t *role_config_make(const struct layout *layout, const struct config *config, enum layout_role role);
/* Writes what is another than before, and sets changed of those roles. */
int role_config_write_all(
	const struct layout *layout, const struct config *config, bool changed[static ROLE_COUNT], struct err *err);
