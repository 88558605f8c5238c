/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge provisioning: without a verb the service alone, with one a tool for its operator, be it alone or in a hub. */
#include "provisioning.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "hub/client.h"
#include "hub_tool.h"
#include "page.h"
#include "service_verbs.h"

static const struct service_verb verbs[] = {
	{ "enrollment", "one device each: create, show, list, update, delete", provisioning_enrollment },
	{ "enrollment-group", "all that a key or a CA vouches for: create, show, list, update, delete, compute-device-key",
		provisioning_enrollment_group },
	{ "registration", "what became of devices: show, list, delete", provisioning_registration },
	{ "linked-hub", "hubs that devices are assigned to: create, show, list, update, delete", provisioning_linked_hub },
	{ "certificate", "CAs that enrollments name: list, show, create, update, delete, generate-verification-code, verify",
		provisioning_certificate },
	{ "policy", "what services may do: list, show, create, update, renew-key, delete", provisioning_policy },
	{ "show", "the id scope, and where it is reached", provisioning_show },
	{ "connection-string", "of a policy, for these verbs and for services", provisioning_connection_string },
};

int
cmd_provisioning(int argc, char **argv)
{
	static const struct service_verbs noun = { "provisioning", "Verbs for the operator of provisioning, in a hub or alone",
		"Without a verb it is provisioning itself", verbs, COUNT(verbs) };

	return service_verbs_run(&noun, argc, argv);
}

/* -- rootedge provisioning show and connection-string: from the state folder --------------------------------------------------- */

struct options {
	const char *state, *policy;
	bool json;
};

#define STATE_ROW                                                                                                                  \
	{                                                                                                                          \
		"state", 's', "DIR",                                                                                               \
			"the state folder of provisioning, or of the hub that it is in (" PROVISIONING_STATE_DEFAULT ")",          \
			OPTION_TEXT, offsetof(struct options, state), 0, 0                                                         \
	}

static const struct option_row show_rows[] = {
	STATE_ROW,
	{ "json", 0, NULL, "JSON, for programs", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ 0 },
};

static const struct option_row string_rows[] = {
	STATE_ROW,
	{ "policy-name", 'n', "NAME", "of this policy (provisioningserviceowner)", OPTION_TEXT, offsetof(struct options, policy), 0,
		0 },
	{ 0 },
};

static const struct option_usage show_usage = {
	.command = "rootedge provisioning show",
	.arguments = "",
	.summary = "Print the id scope that devices give, and where provisioning was last reached.",
	.rows = show_rows,
};

static const struct option_usage string_usage = {
	.command = "rootedge provisioning connection-string",
	.arguments = "",
	.summary = "Print the connection string of a policy of provisioning.  It contains a key.",
	.more = "Its HostName has a port when that is not 443: the verbs take it so, SDKs don't.",
	.rows = string_rows,
};

int
provisioning_show(int argc, char **argv)
{
	struct options o = { .state = PROVISIONING_STATE_DEFAULT };
	int status = page_options(&show_usage, &o, argc, argv);
	struct err err = ERR_INIT;
	OWN_LIB(json_t) json = status == 0 ? hub_client_provisioning_json(o.state, &err) : NULL;

	if (status != 0)
		return status;
	if (!json)
		return page_failure(show_usage.command, &err, 1);
	if (o.json) {
		json_dumpf(json, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		hub_show(stdout, json);
	}
	return 0;
}

int
provisioning_connection_string(int argc, char **argv)
{
	struct options o = { .state = PROVISIONING_STATE_DEFAULT, .policy = "provisioningserviceowner" };
	int status = page_options(&string_usage, &o, argc, argv);
	struct buf text = BUF_INIT(4096);
	struct err err = ERR_INIT;
	int done;

	if (status != 0)
		return status;
	done = hub_client_provisioning_string(&text, o.state, o.policy, &err);
	if (done == 0)
		puts(buf_text(&text));
	buf_wipe(&text); /* it has a key */
	return done < 0 ? page_failure(string_usage.command, &err, 1) : 0;
}
