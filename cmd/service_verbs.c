/* SPDX-License-Identifier: Apache-2.0 */
/* Which verb it is, and what is said when it is none. */
#include "service_verbs.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "cmd.h"
#include "verbs.h"

/* Without a verb: the service's own help, below that of the verbs. */
static int
help(const struct service_verbs *noun, const struct verb_table *table, int argc, char **argv)
{
	printf("%s:\n\nusage: %s VERB [OPTIONS]\n\n", noun->summary, table->command);
	verb_list(stdout, table);
	printf("\n%s:\n\n", noun->without);
	fflush(stdout);
	return cmd_exec_service(noun->service, argc, argv);
}

int
service_verbs_run(const struct service_verbs *noun, int argc, char **argv)
{
	OWN_TEXT command = mem_textf("rootedge %s", noun->service);
	struct verb_table table = { command, noun->summary, NULL, noun->verbs, noun->n, sizeof(*noun->verbs) };
	const struct service_verb *verb;

	if (argc > 1 && (text_is(argv[1], "--help") || text_is(argv[1], "-h")))
		return help(noun, &table, argc, argv);
	if (argc < 2 || argv[1][0] == '-')
		return cmd_exec_service(noun->service, argc, argv);
	verb = verb_of_name(&table, argv[1]);
	if (verb)
		return verb->run(argc - 1, argv + 1);
	verb_say_unknown(&table, argv[1]);
	return 2;
}
