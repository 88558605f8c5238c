/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge dev: a hub for those who develop against one. */
#include "dev.h"

#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "cmd.h"
#include "page.h"
#include "verbs.h"

static const struct verb {
	const char *name, *help;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "up", "start a hub, and say in one line of JSON how to reach it", dev_up },
	{ "env", "the file that tells a shell how to reach the hub that is up", dev_env },
};

int
cmd_dev(int argc, char **argv)
{
	static const struct verb_table table =
		VERB_TABLE("rootedge dev", "A hub on this machine for developing and testing.", NULL, verbs);
	int status;
	const struct verb *verb = verb_find(&table, argc, argv, &status);

	return verb ? verb->run(argc - 1, argv + 1) : status;
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
	int status = page_options(&usage, &o, argc, argv);

	if (status != 0)
		return status;
	dir = o.state ? mem_text(o.state) : dev_default_dir(&err);
	path = dir ? file_join(dir, "env") : NULL;
	if (path && !file_exists(path))
		(void)err_set(&err, ERR_MISSING, "%s is not there: rootedge dev up makes it", path);
	if (!path || !file_exists(path))
		return page_failure(usage.command, &err, 1);
	puts(path);
	return 0;
}
