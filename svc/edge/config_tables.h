/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the configuration: one function a table of config.toml, each in a file of its own, and what each adds to struct config.  They tell mistakes (config_read.h) and go on. */

#include "edge/config.h"
#include "edge/config_read.h"

/* A list of names and addresses, added to those that are there. */
void config_take_names(char **names, size_t *n, const struct config_at *at, const char *key);
void config_take_provisioning(struct config *config, const struct config_at *root);
void config_take_edge_ca(struct config *config, const struct config_at *root);
void config_take_preloaded(struct config *config, const struct config_at *root);
void config_take_offline(struct config *config, const struct config_at *root);
void config_take_server_certs(struct config *config, const struct config_at *root);
void config_take_trust(struct config *config, const struct config_at *root);
void config_take_modules(struct config *config, const struct config_at *root);
void config_take_principals(struct config *config, const struct config_at *root);
