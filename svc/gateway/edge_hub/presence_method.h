/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* HubPresence {"hub": "reach=away&seconds=3&gateway=edge1"}: the parent says how it is about the hub (gauges/hub_word.h); null: it can't say. */

#include "gateway/edge_hub/edge_hub.h"

struct edge_hub_method presence_method(void);
