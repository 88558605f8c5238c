/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices are gateways is the registry's to say, and what changes there. */
#include "hub/hub_strands.h"

#include "hub/rest/rest_error.h"

static bool
may_carry(void *arg, const char *gateway_id)
{
	OWN(identity) gateway = registry_find(arg, gateway_id, NULL);

	return gateway && gateway->is_edge;
}

static void
forbid(struct http_request *req, const char *words)
{
	rest_fail(req, REST_GENERIC_FORBIDDEN, "%s", words);
}

/* On the registry's worker. */
static void
on_change(void *arg, const struct identity *before, const struct identity *after)
{
	(void)after;
	strand_door_recheck(arg, before->device_id);
}

struct strand_door *
hub_strands_open(struct registry *registry, struct http_head *devices, struct mqtt_head *mqtt, size_t max_strands)
{
	struct strand_door_config config = { .devices = devices,
		.mqtt = mqtt,
		.may_carry = may_carry,
		.forbid = forbid,
		.arg = registry,
		.max_strands = max_strands };
	struct strand_door *door = strand_door_new(&config);

	registry_watch(registry, REGISTRY_CHANGED | REGISTRY_REMOVED, on_change, door);
	return door;
}
