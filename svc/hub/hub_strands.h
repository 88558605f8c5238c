/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Carriers of gateways at the hub (heads/strand_door.h), one of our extensions. */

#include "heads/strand_door.h"
#include "hub/registry/registry.h"

/* Watches the registry from now on. */
struct strand_door *hub_strands_open(
	struct registry *registry, struct http_head *devices, struct mqtt_head *mqtt, size_t max_strands);
