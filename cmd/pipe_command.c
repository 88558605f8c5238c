/* SPDX-License-Identifier: Apache-2.0 */
/* Running a program for what it says. */
#include "pipe_command.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

static _Noreturn void
become(const char *const *args, int out)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	dup2(out, STDOUT_FILENO);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	execvp(args[0], (char *const *)(uintptr_t)args);
	_exit(127);
}

static void
read_all(int fd, struct buf *out)
{
	char piece[4096];
	ssize_t got;

	while ((got = read(fd, piece, sizeof(piece))) > 0 || (got < 0 && errno == EINTR))
		if (got > 0)
			buf_put(out, piece, (size_t)got);
}

int
pipe_command(const char *const *args, struct buf *out, struct err *err)
{
	int ends[2], status = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	pid = fork();
	if (pid == 0)
		become(args, ends[1]);
	close(ends[1]);
	if (pid > 0)
		read_all(ends[0], out);
	close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return err_errno(err, "running %s", args[0]);
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
		return err_set(err, ERR_UNAVAILABLE, "%s can't be run", args[0]);
	return out->failed ? err_set(err, ERR_LIMIT, "%s says more than is taken", args[0]) : WEXITSTATUS(status);
}
