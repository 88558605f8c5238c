/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the gateway tells its operator about itself (rootedge gateway status). */

#include <jansson.h>

#include "gateway/local/vitals.h"

struct gateway_names {
	const char *hostname, *hub, *edge_id, *parent; /* parent NULL: the hub is reached directly */
};

/* {"hostname", "edge_device", "hub": {"name", "parent", "reach", "since", "for_s", "times_away", "beyond": null, or below a parent {"reach", "gateway", "since", "for_s"}}, "lines": {"carried", "alone", "carriage", "since", "for_s", "why"}, "ready", "checks", "devices": {...}, "queue": {...}, "certificate": {...},
 * "https": {"port", "problem"}, "revocation": {"problem"}, "offline_budget": {...}}; times in RFC 3339. */
json_t *gateway_status_json(const struct gateway_names *names, const struct vitals *vitals);
