/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Documents of the operator's, which a role may not read where they lie: what provisioning is handed (a JSON value), which identityd is told whole, and further texts of system information (a
 * table of TOML), of which edged has a copy. */

#include "edge/layout.h"

#define DOCUMENT_MAX (64 * 1024)

/* As config.toml has them: {"payload": PATH}, {"additional_info": PATH}.  Pure; the caller owns them. */
json_t *documents_list_identityd(const struct config *config);
json_t *documents_list_edged(const struct config *config);
/* As the role is told.  *changed is set when a copy is another than before. */
json_t *documents_load_identityd(const struct layout *layout, const struct config *config, bool *changed, struct err *err);
json_t *documents_load_edged(const struct layout *layout, const struct config *config, bool *changed, struct err *err);

json_t *documents_load_payload(const char *path, struct err *err);
json_t *documents_load_info(const char *path, struct err *err);
