/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub: without a verb the hub itself, with one a tool for its operator. */
#include "hub.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "hub/client.h"

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
};

static const struct verb verbs[] = {
	{ "events", hub_events },
	{ "connection-string", hub_connection_string },
	{ "device", hub_device },
};

int
cmd_hub(int argc, char **argv)
{
	if (argc < 2 || argv[1][0] == '-')
		return cmd_exec_service("hub", argc, argv);
	for (size_t i = 0; i < COUNT(verbs); i++)
		if (text_is(argv[1], verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	fprintf(stderr, "rootedge hub: there is no verb '%s'; there are events, connection-string and device\n", argv[1]);
	return 2;
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
	CLEAR(buf) text = BUF_INIT(4096);
	struct err err = ERR_INIT;
	int done;

	if (option_parse(&usage, &o, argc, argv, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	if (o.device)
		done = hub_client_device_string(&text, o.state, o.device, o.module, &err);
	else
		done = hub_client_policy_string(&text, o.state, o.policy, &err);
	if (done < 0) {
		fprintf(stderr, "rootedge hub connection-string: %s\n", err.text);
		return 1;
	}
	puts(buf_text(&text));
	return 0;
}
