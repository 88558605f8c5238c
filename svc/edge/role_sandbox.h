/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What each role may reach (sandbox.h), by what config.toml names. */

#include "edge/layout.h"
#include "edge/sandbox.h"

/* It reaches servers of others by their names. */
bool role_sandbox_resolves_names(const struct config *config, enum layout_role role);
/* For a process that becomes the role or ends: what is allocated on the way there is never freed. */
void role_sandbox_fill(struct sandbox *out, const struct config *config, const struct layout *layout, enum layout_role role,
	const char *program_dir);
