/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge edge: without a verb the device itself, with one a tool for its operator. */
#include "edge.h"

#include "base/mem.h"
#include "cmd.h"
#include "service_verbs.h"

static const struct service_verb verbs[] = {
	{ "status", edge_status, "keyd, certd, identityd, edged and the gateway: do they run, and why not" },
	{ "list", edge_list, "modules with their status" },
	{ "restart", edge_restart, "one of them, or all from config.toml on" },
	{ "reprovision", edge_reprovision, "ask anew who this device is" },
	{ "logs", edge_logs, "what they said" },
	{ "init", edge_init, "a config.toml for a device below another one, when that was found good" },
	{ "bundle", edge_bundle, "what devices and gateways below this one trust it by" },
};

int
cmd_edge(int argc, char **argv)
{
	static const struct service_verbs noun = { "edge",
		"Verbs for an edge device's operator (rootedge status is rootedge edge status)",
		"Without a verb it is the device itself", verbs, COUNT(verbs) };

	return service_verbs_run(&noun, argc, argv);
}
