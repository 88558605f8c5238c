/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge: one command, a noun after it.  Here is only the table of nouns; each is a small file of its own or a service. */
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "cmd.h"
#include "edge.h"

struct noun {
	const char *name;
	int (*run)(int argc, char **argv); /* NULL: the service of that name */
	const char *help;
};

static const struct noun nouns[] = {
	{ "hub", cmd_hub, "the hub: device registry, MQTT and HTTPS endpoints; and verbs for it (hub events, ...)" },
	{ "provisioning", cmd_provisioning,
		"devices that register themselves, for several hubs; and verbs for it, in a hub or alone" },
	{ "edge", cmd_edge,
		"an edge device: keyd, certd, identityd, edged and the gateway, started and watched; and verbs for it" },
	{ "status", edge_status, "do the daemons of the edge device run, and if not, why" },
	{ "list", edge_list, "modules of the edge device" },
	{ "restart", edge_restart, "start daemons of the edge device again" },
	{ "reprovision", edge_reprovision, "have the edge device ask anew who it is" },
	{ "logs", edge_logs, "what the daemons of the edge device said" },
	{ "config", cmd_config, "an edge device's configuration: checked, shown, applied, taken over from IoT Edge" },
	{ "renewals", cmd_renewals, "the certificates of an edge device: their ends, and when they are renewed" },
	{ "gateway", cmd_gateway, "the gateway alone, which rootedge edge starts; and verbs for it" },
	{ "device", NULL, "a downstream device (TempSensor), for trying things out" },
	{ "dev", cmd_dev, "a hub for developing and testing: up in a moment, for laptops and CI" },
	{ "demo", cmd_demo, "all of it on this machine: hub, edge gateway, sensor, and the five questions of trust" },
	{ "cert", cmd_cert, "make, show and verify certificates" },
	{ "est", cmd_est, "an EST server: devices get and renew certificates; and verbs for it" },
	{ "trust", cmd_trust, "how one root follows another, and who does not hold the new one yet" },
	{ "ca", cmd_ca, "what a CA of ours has issued" },
	{ "doctor", cmd_doctor, "why a server is trusted, or why not" },
	{ "explain", cmd_explain, "what a reason code means, and what to do" },
	{ "completion", cmd_completion, "what a shell needs to complete all of this" },
	{ "keyd", NULL, "the keys service alone" },
	{ "certd", NULL, "the certificates service alone" },
	{ "identityd", NULL, "the identity service alone" },
	{ "edged", NULL, "the workload API and Edge CA alone" },
};

static int
usage(FILE *out)
{
	fputs("rootedge: an IoT hub, edge gateway and devices that trust each other with certificates\n\n"
	      "usage: rootedge NOUN [VERB] [OPTIONS]\n\n",
		out);
	for (size_t i = 0; i < COUNT(nouns); i++)
		fprintf(out, "  %-12s %s\n", nouns[i].name, nouns[i].help);
	fputs("\nrootedge NOUN --help tells more.\n", out);
	return out == stdout ? 0 : 2;
}

static int
unknown(const char *word)
{
	const char *names[COUNT(nouns)];
	const char *near;

	for (size_t i = 0; i < COUNT(nouns); i++)
		names[i] = nouns[i].name;
	near = text_nearest(word, names, COUNT(nouns));
	fprintf(stderr, "rootedge: there is no '%s'", word);
	if (near)
		fprintf(stderr, "; did you mean '%s'?\n", near);
	else
		fputs(".  rootedge --help lists what there is.\n", stderr);
	return 2;
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr);
	if (text_is(argv[1], "--help") || text_is(argv[1], "-h") || text_is(argv[1], "help"))
		return usage(stdout);
	if (text_is(argv[1], "--version")) {
		puts("rootedge " ROOTEDGE_VERSION);
		return 0;
	}
	for (size_t i = 0; i < COUNT(nouns); i++) {
		if (!text_is(argv[1], nouns[i].name))
			continue;
		if (!nouns[i].run)
			return cmd_exec_service(nouns[i].name, argc - 1, argv + 1);
		return nouns[i].run(argc - 1, argv + 1);
	}
	return unknown(argv[1]);
}
