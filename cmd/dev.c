/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge dev: a hub for those who develop against one. */
#include "dev.h"

#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "page.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{ "up", dev_up, "start a hub, and say in one line of JSON how to reach it" },
	{ "env", dev_env, "the file that tells a shell how to reach the hub that is up" },
};

static int
print_help(FILE *out)
{
	fputs("A hub on this machine for developing and testing.\n\nusage: rootedge dev VERB [OPTIONS]\n\n", out);
	for (size_t i = 0; i < COUNT(verbs); i++)
		fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].help);
	fputs("\nrootedge dev VERB --help tells more.\n", out);
	return out == stdout ? 0 : 2;
}

int
cmd_dev(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < COUNT(verbs); i++)
		if (text_is(argv[1], verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	return print_help(argc > 1 && (text_is(argv[1], "--help") || text_is(argv[1], "-h")) ? stdout : stderr);
}

/* -- rootedge dev env ---------------------------------------------------------------------------------------------------------------------- */

struct options {
	const char *state;
};

static const struct option_row rows[] = {
	{ "state", 's', "DIR", "as given to rootedge dev up", OPTION_TEXT, offsetof(struct options, state), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge dev env",
	.arguments = "",
	.summary = "Print the path of the file that tells a shell how to reach the hub: . \"$(rootedge dev env)\"",
	.rows = rows,
};

int
dev_env(int argc, char **argv)
{
	struct options o = { 0 };
	struct err err = ERR_INIT;
	OWN_TEXT dir = NULL;
	OWN_TEXT path = NULL;

	if (option_parse(&usage, &o, argc, argv, &err) != 0)
		return page_failure(usage.command, &err, 2);
	dir = o.state ? mem_text(o.state) : dev_default_dir(&err);
	path = dir ? file_join(dir, "env") : NULL;
	if (path && !file_exists(path))
		(void)err_set(&err, ERR_MISSING, "%s is not there: rootedge dev up makes it", path);
	if (!path || !file_exists(path))
		return page_failure(usage.command, &err, 1);
	puts(path);
	return 0;
}
