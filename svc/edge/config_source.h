/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where the configuration comes from, the later over the earlier:
 *
 *	config.toml	--config, else $ROOTEDGE_CONFIG, else /etc/aziot/config.toml
 *	config.d	$ROOTEDGE_CONFIG_DIR, else the folder config.d beside it: every *.toml, by name
 *	environment	ROOTEDGE_SET_PROVISIONING__DEVICE_ID is provisioning.device_id, for keys of single values and of lists
 *
 * Tables merge key by key, lists are joined, other values replace (edge-services 5.1).  Every value knows its file and line, or its variable. */

#include "edge/config_findings.h"
#include "wire/toml.h"

#define CONFIG_FILES_MAX 256

const char *config_source_default(void);   /* config.toml when none is given */
char *config_source_dir(const char *path); /* its config.d; the caller owns it */
/* The names of its *.toml in their order; the caller frees each.  Returns how many; an absent folder has none. */
size_t config_source_list(const char *dir, char *names[static CONFIG_FILES_MAX], struct findings *findings);
/* NULL when something could not be read; what and why is in the findings. */
struct toml *config_source_load(const char *path, struct findings *findings);
/* Files alone; path may be NULL. */
struct toml *config_source_load_files(const char *path, const char *dir, struct findings *findings);
/* Values in the environment may be secrets: for processes that are started by one that has loaded them. */
void config_source_clear_environment(void);
