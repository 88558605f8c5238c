/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside rootedge config: its verbs, and what they share. */

#include "edge/config_findings.h"
#include "wire/toml.h"

#define CONFIG_ROW(type)                                                                                                           \
	{                                                                                                                          \
		"config", 'c', "FILE", "config.toml, with config.d beside it ($ROOTEDGE_CONFIG, /etc/aziot/config.toml)",          \
			OPTION_TEXT, offsetof(type, config), 0, 0                                                                  \
	}
#define CONFIG_STATE_ROW(type)                                                                                                     \
	{                                                                                                                          \
		"state", 's', "DIR", "the state folder (/var/lib/aziot)", OPTION_TEXT, offsetof(type, state), 0, 0                 \
	}
#define CONFIG_STATE_DEFAULT "/var/lib/aziot"

int config_check(int argc, char **argv);
int config_show(int argc, char **argv);
int config_apply(int argc, char **argv);
int config_import(int argc, char **argv);
int config_mp(int argc, char **argv);
int config_reference(int argc, char **argv);

/* All that there is to say about it; with the files that it names, when it is good so far.  false: they were not looked at. */
bool config_examine(const char *path, struct findings *findings);
