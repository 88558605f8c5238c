/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The operator's keys and certificates under the ids that keyd and certd know them by (preloaded_keys, preloaded_certs).
 *
 * When we are root, the role gets a copy that is its own: the operator's file may be readable for root alone, or for another user, and no role has the rights of root.  What is the same
 * already stays as it is, and what has left config.toml is gone. */

#include "edge/layout.h"

/* As config.toml has them: objects of id to place, or to a list of ids; a key that stands in config.toml itself is not among them.  Pure; the caller owns them. */
json_t *preload_list_keys(const struct config *config);
json_t *preload_list_certs(const struct config *config);
/* As the role is told: with the copies in the place of files.  *changed is set when one of them is another than before. */
json_t *preload_keys(const struct layout *layout, const struct config *config, bool *changed, struct err *err);
json_t *preload_certs(const struct layout *layout, const struct config *config, bool *changed, struct err *err);
/* Copies of the further server certificates, whoever we are: the folder of the operator's file may hold its key as well, and the gateway is not to reach that.  *changed as above. */
int preload_server_certs(const struct layout *layout, const struct config *config, bool *changed, struct err *err);
char *preload_server_cert_path(
	const struct layout *layout, const struct config_server_cert *cert); /* where its copy lies; the caller owns it */
