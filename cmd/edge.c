/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge edge: without a verb the device itself, with one a tool for its operator. */
#include "edge.h"

#include "base/mem.h"
#include "cmd.h"
#include "service_verbs.h"

static const struct service_verb verbs[] = {
	{ "status", "keyd, certd, identityd, edged and the gateway: do they run, and why not", edge_status },
	{ "list", "modules with their status", edge_list },
	{ "restart", "one of them, or all from config.toml on", edge_restart },
	{ "reprovision", "ask anew who this device is", edge_reprovision },
	{ "logs", "what they said", edge_logs },
	{ "init", "a config.toml for a device below another one, when that was found good", edge_init },
	{ "bundle", "what devices and gateways below this one trust it by", edge_bundle },
};

int
cmd_edge(int argc, char **argv)
{
	static const struct service_verbs noun = { "edge",
		"Verbs for an edge device's operator (rootedge status is rootedge edge status)",
		"Without a verb it is the device itself", verbs, COUNT(verbs) };

	return service_verbs_run(&noun, argc, argv);
}
