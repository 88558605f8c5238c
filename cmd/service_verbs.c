/* SPDX-License-Identifier: Apache-2.0 */
/* Which verb it is, and what is said when it is none. */
#include "service_verbs.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "cmd.h"

static void
list(FILE *out, const struct service_verbs *noun)
{
	for (size_t i = 0; i < noun->n; i++)
		fprintf(out, "  %-18s %s\n", noun->verbs[i].name, noun->verbs[i].help);
}

static int
unknown(const struct service_verbs *noun, const char *word)
{
	const char **names = mem_new(noun->n * sizeof(*names)), *near;

	for (size_t i = 0; i < noun->n; i++)
		names[i] = noun->verbs[i].name;
	near = text_nearest(word, names, noun->n);
	fprintf(stderr, "rootedge %s: there is no '%s'%s%s%s\n\n", noun->service, word, near ? "; did you mean '" : "",
		near ? near : "", near ? "'?" : "");
	list(stderr, noun);
	mem_free(names);
	return 2;
}

/* Without a verb: the service's own help, below that of the verbs. */
static int
help(const struct service_verbs *noun, int argc, char **argv)
{
	printf("%s:\n\nusage: rootedge %s VERB [OPTIONS]\n\n", noun->summary, noun->service);
	list(stdout, noun);
	printf("\n%s:\n\n", noun->without);
	fflush(stdout);
	return cmd_exec_service(noun->service, argc, argv);
}

int
service_verbs_run(const struct service_verbs *noun, int argc, char **argv)
{
	if (argc > 1 && (text_is(argv[1], "--help") || text_is(argv[1], "-h")))
		return help(noun, argc, argv);
	if (argc < 2 || argv[1][0] == '-')
		return cmd_exec_service(noun->service, argc, argv);
	for (size_t i = 0; i < noun->n; i++)
		if (text_is(argv[1], noun->verbs[i].name))
			return noun->verbs[i].run(argc - 1, argv + 1);
	return unknown(noun, argv[1]);
}
