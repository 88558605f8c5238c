/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What each role is told: its configuration, made from config.toml, 0600 and owned by the role. */

#include "edge/layout.h"

/* The roots that the system trusts, for those who reach servers of others. */
#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

int role_config_write_all(const struct layout *layout, const struct config *config, struct err *err);
