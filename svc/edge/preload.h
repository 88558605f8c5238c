/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The operator's keys and certificates under the ids that keyd and certd know them by (preloaded_keys, preloaded_certs).
 *
 * When we are root, the role gets a copy that is its own: the operator's file may be readable for root alone, or for another user, and no role has the rights of root.  The copies are
 * made anew at each start, in a folder that is emptied before: what has left config.toml is gone. */

#include "edge/layout.h"

/* Objects of id to place; the caller owns them. */
json_t *preload_keys(const struct layout *layout, const struct config *config, struct err *err);
json_t *preload_certs(const struct layout *layout, const struct config *config, struct err *err);
