/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A new config.toml with its secrets in files beside it.  Nothing that is there is replaced but by force, and then the old configuration is kept; a crash at any point leaves the old
 * config.toml or the new one, with its secrets. */

#include "edge/config_import.h"

struct config_target {
	const char *config;
	const char *secrets; /* a whole path: it stands in config.toml */
	bool force, dry_run;
};

/* The folder for secrets: as given, or beside config; the caller owns it. */
char *config_write_secrets_dir(const char *given, const char *config);
/* Tells on standard output what there is still to be put right.  0 written, 1 written but not good yet, -1 not written. */
int config_write(const struct config_import *made, const struct config_target *target, const char *comment, struct err *err);
