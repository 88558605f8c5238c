/* SPDX-License-Identifier: Apache-2.0 */
/* Which program a process runs, asked by one process and answered by another. */
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "common/executable.h"
#include "t.h"

/* A supervisor that answers until its asker is gone. */
static pid_t
start_answerer(int *asker)
{
	int ends[2];
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	pid = fork();
	if (pid == 0) {
		struct pollfd p = { .fd = ends[1], .events = POLLIN };

		close(ends[0]);
		while (poll(&p, 1, -1) == 1 && executable_answer(ends[1]))
			;
		_exit(0);
	}
	close(ends[1]);
	*asker = ends[0];
	return pid;
}

static void
end(pid_t pid, int asker)
{
	close(asker);
	waitpid(pid, NULL, 0);
}

static int
pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static pid_t
sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sleep", "sleep", "60", NULL);
		_exit(127);
	}
	return pid;
}

/* Between fork and exec it runs what we run. */
static int
ask_until_exec(int asker, int pidfd, struct err *err)
{
	int got;

	while ((got = executable_ask(asker, pidfd, "/bin/sleep", err)) == 0)
		;
	return got;
}

TEST("the program is the file that runs, by whatever name it is reached")
{
	char link[256];
	struct err err = ERR_INIT;
	int asker, pidfd;
	pid_t answerer = start_answerer(&asker), pid = sleeper();

	pidfd = pidfd_of(pid);
	snprintf(link, sizeof(link), "%s/link", T_TMPDIR);
	CHECK(symlink("/bin/sleep", link) == 0);
	CHECK_INT(ask_until_exec(asker, pidfd, &err), 1);
	CHECK_INT(executable_ask(asker, pidfd, link, &err), 1);
	CHECK_INT(executable_ask(asker, pidfd, "/bin/cat", &err), 0);
	CHECK_INT(executable_ask(asker, pidfd, "/nothing/here", &err), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pidfd);
	end(answerer, asker);
}

TEST("of a process that has ended, and of what is no process, nothing is told")
{
	struct err err = ERR_INIT;
	int asker, pidfd;
	pid_t answerer = start_answerer(&asker), pid = sleeper();

	pidfd = pidfd_of(pid);
	CHECK_INT(ask_until_exec(asker, pidfd, &err), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK_INT(executable_ask(asker, pidfd, "/bin/sleep", &err), -1);
	CHECK_ERR(err, ERR_UNAVAILABLE, "which program");
	err = (struct err)ERR_INIT;
	CHECK_INT(executable_ask(asker, STDERR_FILENO, "/bin/sleep", &err), -1);
	close(pidfd);
	end(answerer, asker);
}

TEST("without a supervisor, or with one that is gone, nothing is told either")
{
	struct err err = ERR_INIT;
	int asker, pidfd = pidfd_of(getpid());
	pid_t answerer = start_answerer(&asker);

	CHECK_INT(executable_ask(-1, pidfd, "/bin/sleep", &err), -1);
	kill(answerer, SIGKILL);
	waitpid(answerer, NULL, 0);
	err = (struct err)ERR_INIT;
	CHECK_INT(executable_ask(asker, pidfd, "/bin/sleep", &err), -1);
	close(asker);
	close(pidfd);
}

TEST("a question that is too long, or has no process, gets no for an answer, and the next one its own")
{
	struct err err = ERR_INIT;
	char path[2 * EXECUTABLE_PATH_MAX];
	uint64_t numbered[3] = { 7 }, answer[2];
	int asker, pidfd = pidfd_of(getpid());
	pid_t answerer = start_answerer(&asker);

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	CHECK_INT(executable_ask(asker, pidfd, path, &err), -1);
	CHECK(send(asker, numbered, sizeof(numbered), 0) == sizeof(numbered));
	CHECK(recv(asker, answer, sizeof(answer), 0) == sizeof(answer) && answer[0] == 7 && answer[1] == '?');
	CHECK(send(asker, "short", 5, 0) == 5);
	CHECK(recv(asker, answer, sizeof(answer), 0) == sizeof(answer) && answer[1] == '?');
	err = (struct err)ERR_INIT;
	CHECK_INT(executable_ask(asker, pidfd, "/proc/self/exe", &err), 1); /* the answerer is a copy of this test */
	close(pidfd);
	end(answerer, asker);
}

/* Before its answer to the one question there is a yes to an earlier one. */
static pid_t
start_late_answerer(int *asker)
{
	int ends[2];
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	pid = fork();
	if (pid == 0) {
		uint64_t number = 0;
		bool all = recv(ends[1], &number, sizeof(number), 0) == sizeof(number);

		for (int i = 1; i >= 0; i--) {
			uint64_t answer[] = { number - (uint64_t)i, i ? 'y' : 'n' };

			all = send(ends[1], answer, sizeof(answer), 0) == sizeof(answer) && all;
		}
		_exit(all ? 0 : 1);
	}
	close(ends[1]);
	*asker = ends[0];
	return pid;
}

TEST("a yes that comes too late for one question does not answer the next")
{
	struct err err = ERR_INIT;
	int asker, pidfd = pidfd_of(getpid());
	pid_t answerer = start_late_answerer(&asker);

	CHECK_INT(executable_ask(asker, pidfd, "/bin/cat", &err), 0);
	close(pidfd);
	end(answerer, asker);
}
