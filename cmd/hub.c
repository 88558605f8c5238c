/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub: without a verb the hub itself, with one a tool for its operator. */
#include "hub.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/option.h"
#include "cmd.h"
#include "hub/client.h"
#include "page.h"
#include "service_verbs.h"

static const struct service_verb verbs[] = {
	{ "device", "devices: create, show, list, update, delete, renew-key, show-connection-string, why", hub_device },
	{ "module", "modules of a device: create, show, list, update, delete", hub_module },
	{ "twin", "twins: show, update, replace", hub_twin },
	{ "method", "direct methods: invoke", hub_method },
	{ "query", "what twins say, in the query language", hub_query },
	{ "c2d", "cloud-to-device messages: send, purge, feedback", hub_c2d },
	{ "file", "files that devices upload: notifications", hub_file },
	{ "configuration", "automatic configurations: create, show, list, update, delete, show-metric", hub_configuration },
	{ "job", "changes of many devices: create, show, list, cancel", hub_job },
	{ "ca", "CAs that devices are let in by: list, show, create, update, delete, code, verify", hub_ca },
	{ "policy", "what services may do: list, show, create, renew-key, delete", hub_policy },
	{ "seed", "many devices at once, from a file", hub_seed },
	{ "events", "what devices sent, from the log or from a running hub", hub_events },
	{ "connection-string", "of a policy, device or module", hub_connection_string },
};

int
cmd_hub(int argc, char **argv)
{
	static const struct service_verbs noun = { "hub", "Verbs for a hub's operator", "Without a verb it is the hub itself",
		verbs, COUNT(verbs) };

	return service_verbs_run(&noun, argc, argv);
}

/* -- rootedge hub connection-string ------------------------------------------------------------------------------------------------- */

struct options {
	const char *state, *policy, *device, *module;
};

static const struct option_row rows[] = {
	{ "state", 's', "DIR", "the hub's state folder (" HUB_STATE_DEFAULT ")", OPTION_TEXT, offsetof(struct options, state), 0,
		0 },
	{ "policy", 'p', "NAME", "of this policy (iothubowner)", OPTION_TEXT, offsetof(struct options, policy), 0, 0 },
	{ "device", 'd', "ID", "of this device instead", OPTION_TEXT, offsetof(struct options, device), 0, 0 },
	{ "module", 'm', "ID", "of this module of the device", OPTION_TEXT, offsetof(struct options, module), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge hub connection-string",
	.arguments = "",
	.summary = "Print a connection string: of a policy for services, of a device or module for clients.  It contains a key.",
	.rows = rows,
};

int
hub_connection_string(int argc, char **argv)
{
	struct options o = { .state = HUB_STATE_DEFAULT, .policy = "iothubowner" };
	int status = page_options(&usage, &o, argc, argv), done;
	struct buf text = BUF_INIT(4096);
	struct err err = ERR_INIT;

	if (status != 0)
		return status;
	if (o.device)
		done = hub_client_device_string(&text, o.state, o.device, o.module, &err);
	else
		done = hub_client_policy_string(&text, o.state, o.policy, &err);
	if (done == 0)
		puts(buf_text(&text));
	buf_wipe(&text); /* it has a key */
	return done < 0 ? page_failure(usage.command, &err, 1) : 0;
}
