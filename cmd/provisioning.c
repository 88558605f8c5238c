/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge provisioning: without a verb the service alone, with one a tool for its operator, be it alone or in a hub. */
#include "provisioning.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "hub/client.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{ "enrollment", provisioning_enrollment, "one device each: create, show, list, update, delete" },
	{ "enrollment-group", provisioning_enrollment_group,
		"all that a key or a CA vouches for: create, show, list, update, delete, compute-device-key" },
	{ "registration", provisioning_registration, "what became of devices: show, list, delete" },
	{ "linked-hub", provisioning_linked_hub, "hubs that devices are assigned to: create, show, list, update, delete" },
	{ "policy", provisioning_policy, "what services may do: list, show, create, update, renew-key, delete" },
	{ "connection-string", provisioning_connection_string, "of a policy, for these verbs and for services" },
};

static void
list_verbs(FILE *out)
{
	for (size_t i = 0; i < COUNT(verbs); i++)
		fprintf(out, "  %-18s %s\n", verbs[i].name, verbs[i].help);
}

static int
unknown(const char *word)
{
	const char *names[COUNT(verbs)], *near;

	for (size_t i = 0; i < COUNT(verbs); i++)
		names[i] = verbs[i].name;
	near = text_nearest(word, names, COUNT(names));
	fprintf(stderr, "rootedge provisioning: there is no '%s'%s%s%s\n\n", word, near ? "; did you mean '" : "", near ? near : "",
		near ? "'?" : "");
	list_verbs(stderr);
	return 2;
}

/* Without a verb: the service's own help, below that of the verbs. */
static int
help(int argc, char **argv)
{
	puts("Verbs for the operator of provisioning, in a hub or alone:\n\nusage: rootedge provisioning VERB [OPTIONS]\n");
	list_verbs(stdout);
	puts("\nWithout a verb it is provisioning itself:\n");
	fflush(stdout);
	return cmd_exec_service("provisioning", argc, argv);
}

int
cmd_provisioning(int argc, char **argv)
{
	if (argc > 1 && (text_is(argv[1], "--help") || text_is(argv[1], "-h")))
		return help(argc, argv);
	if (argc < 2 || argv[1][0] == '-')
		return cmd_exec_service("provisioning", argc, argv);
	for (size_t i = 0; i < COUNT(verbs); i++)
		if (text_is(argv[1], verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	return unknown(argv[1]);
}

/* -- rootedge provisioning connection-string --------------------------------------------------------------------------------------- */

struct options {
	const char *state, *policy;
};

static const struct option_row rows[] = {
	{ "state", 's', "DIR", "the state folder of provisioning, or of the hub that it is in (" PROVISIONING_STATE_DEFAULT ")",
		OPTION_TEXT, offsetof(struct options, state), 0, 0 },
	{ "policy-name", 'n', "NAME", "of this policy (provisioningserviceowner)", OPTION_TEXT, offsetof(struct options, policy), 0,
		0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge provisioning connection-string",
	.arguments = "",
	.summary = "Print the connection string of a policy of provisioning.  It contains a key.",
	.more = "Its HostName has a port when that is not 443: the verbs take it so, SDKs don't.",
	.rows = rows,
};

int
provisioning_connection_string(int argc, char **argv)
{
	struct options o = { .state = PROVISIONING_STATE_DEFAULT, .policy = "provisioningserviceowner" };
	CLEAR(buf) text = BUF_INIT(4096);
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err);

	if (n > 0)
		(void)err_set(&err, ERR_INVALID, "%s: takes options only, found '%s'", usage.command, argv[0]);
	if (n != 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	if (hub_client_provisioning_string(&text, o.state, o.policy, &err) < 0) {
		fprintf(stderr, "%s: %s\n", usage.command, err.text);
		return 1;
	}
	puts(buf_text(&text));
	buf_wipe(&text);
	return 0;
}
