/* SPDX-License-Identifier: Apache-2.0 */
/* Roles run in executables of their own, each linked with no more than it needs; `rootedge ROLE` becomes that executable.  In a build
 * folder they lie under svc/, installed in libexec/rootedge. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cmd.h"

char *
cmd_service_path(const char *name)
{
	OWN_TEXT dir = file_own_dir();
	OWN_TEXT built = mem_textf("%s/../svc/%s/rootedge-%s", dir, name, name);

	if (access(built, X_OK) == 0)
		return GIVE(built);
	return mem_textf("%s/../libexec/rootedge/rootedge-%s", dir, name);
}

int
cmd_exec_service(const char *name, int argc, char **argv)
{
	OWN_TEXT path = cmd_service_path(name);
	char **args = mem_array((size_t)argc + 1, sizeof(*args));

	args[0] = path;
	for (int i = 1; i < argc; i++)
		args[i] = argv[i];
	execv(path, args);
	fprintf(stderr, "rootedge: cannot run %s: %s\n", path, strerror(errno));
	mem_free(args);
	return 1;
}
