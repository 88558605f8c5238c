/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Documents of the operator's that a role is told whole, because it may not read them where they lie: what provisioning is handed (a JSON value), and further texts of system information (a
 * table of TOML). */

#include "edge/layout.h"

#define DOCUMENT_MAX (64 * 1024)

/* As config.toml has them: {"payload": PATH}, {"additional_info": PATH}.  Pure; the caller owns them. */
json_t *documents_list_identityd(const struct config *config);
json_t *documents_list_edged(const struct config *config);
/* What is in them.  What has changed is seen by the configuration that they become a part of. */
json_t *documents_load_identityd(const struct layout *layout, const struct config *config, bool *changed, struct err *err);
json_t *documents_load_edged(const struct layout *layout, const struct config *config, bool *changed, struct err *err);

json_t *documents_load_payload(const char *path, struct err *err);
json_t *documents_load_info(const char *path, struct err *err);
