/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* RefreshDeviceScopeIdentityCache {"deviceIds": [...]}: the hub says that these have changed (gateway 3.4). */

#include "gateway/edge_hub/edge_hub.h"
#include "gateway/scope/refresher.h"

struct edge_hub_method scope_method(struct refresher *refresher);
