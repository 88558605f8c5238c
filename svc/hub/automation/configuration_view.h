/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A configuration as services are shown it (hub 4.5).  Pure. */

#include "hub/automation/configuration.h"

/* How many twins it targets and is applied to, and its metrics' results by name.  The caller's. */
json_t *configuration_view(const struct configuration *c, int64_t targeted, int64_t applied, json_t *results);
