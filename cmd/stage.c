/* SPDX-License-Identifier: Apache-2.0 */
/* A temporary folder and the signals (stage.h). */
#include "stage.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/mem.h"

#define MEMORY "/dev/shm"

static const char *
parent_dir(bool in_memory)
{
	const char *parent = getenv("TMPDIR");

	if (in_memory && access(MEMORY, W_OK) == 0)
		return MEMORY;
	return parent && *parent ? parent : "/tmp";
}

char *
stage_make_dir(const char *name, bool in_memory, struct err *err)
{
	OWN_TEXT dir = mem_textf("%s/rootedge-%s-XXXXXX", parent_dir(in_memory), name);

	return mkdtemp(dir) ? GIVE(dir) : err_errno_null(err, "%s", dir);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
stage_remove_dir(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

/* nohup says that a hang-up is nothing. */
static bool
is_ignored(int number)
{
	struct sigaction now;

	return number == SIGHUP && sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

/* Signals wait in a descriptor that every wait looks at, so that none comes between. */
int
stage_hold_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT(ends); i++)
		if (!is_ignored(ends[i]))
			sigaddset(&set, ends[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
