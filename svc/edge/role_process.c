/* SPDX-License-Identifier: Apache-2.0 */
/* Becoming a role. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "common/executable.h"
#include "edge/config_source.h"
#include "edge/role_process.h"
#include "edge/role_sandbox.h"

#define FIRST_HANDED 3 /* sd_listen_fds(3) */
#define OUT_OF_THE_WAY 64

/* -- In the child --------------------------------------------------------------------------------------------------------------------- */

/* A session of its own: a role has no business with the operator's terminal, and Ctrl-C there is for the supervisor, which ends the roles in order. */
static void
leave_terminal(int log_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
}

static int
move_away(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
}

static void
hand_over_asker(int fd, int as)
{
	char text[24];

	dup2(fd, as);
	snprintf(text, sizeof(text), "%d", as);
	setenv(EXECUTABLE_ASKER, text, 1);
}

/* The role's sockets from descriptor 3 on, as activation.h finds them, and then the one that it says on that it serves.  Returns that. */
static int
hand_over(const struct role_launch *launch, int ready_fd)
{
	int moved[LAYOUT_SOCKETS_MAX], n = 0;
	char pid[24], count[24];
	int asker_fd = launch->asker_fd < 0 ? -1 : move_away(launch->asker_fd);

	ready_fd = move_away(ready_fd);
	for (size_t i = 0; i < launch->layout->n_sockets; i++)
		if (launch->layout->sockets[i].role == launch->role && launch->sockets[i] >= 0)
			moved[n++] = move_away(launch->sockets[i]);
	for (int i = 0; i < n; i++)
		dup2(moved[i], FIRST_HANDED + i);
	dup2(ready_fd, FIRST_HANDED + n);
	if (asker_fd >= 0)
		hand_over_asker(asker_fd, FIRST_HANDED + n + 1);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(count, sizeof(count), "%d", n);
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", count, 1);
	unsetenv("LISTEN_FDNAMES");
	unsetenv("JOURNAL_STREAM"); /* their log is our pipe */
	return FIRST_HANDED + n;
}

/* A sentence about what went wrong goes to the role's log. */
static _Noreturn void
become(const struct role_launch *launch, pid_t parent, int ready_fd, int log_fd)
{
	struct role_args *args = launch->args;
	OWN_TEXT dir = mem_text(args->item[0]);
	struct sandbox sandbox;
	struct err err = ERR_INIT;
	char *slash = strrchr(dir, '/');
	int program;

	sigprocmask(SIG_SETMASK, launch->signals, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (slash)
		*slash = '\0';
	log_copy(-1);
	leave_terminal(log_fd);
	role_args_push_int(args, "--ready-fd", hand_over(launch, ready_fd));
	program = open(args->item[0], O_PATH | O_CLOEXEC); /* while the way there is open */
	role_sandbox_fill(&sandbox, launch->config, launch->layout, launch->role, dir);
	if (sandbox_enter(&sandbox, &err) < 0) {
		log_error("%s: %s", layout_role_name(launch->role), err.text);
		_exit(1);
	}
	config_source_clear_environment();
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* cleared by the change of user */
	execv(args->item[0], args->item);
	if (errno == EACCES) /* a folder on the way is closed to the role's user */
		execveat(program, "", args->item, environ, AT_EMPTY_PATH);
	log_error("running %s: %s", args->item[0], strerror(errno));
	_exit(127);
}

/* -- In the parent ---------------------------------------------------------------------------------------------------------------------- */

static void
close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

int
role_process_start(struct role_child *out, const struct role_launch *launch, struct err *err)
{
	int ready[2], log[2];
	pid_t parent = getpid();

	if (pipe2(ready, O_CLOEXEC) < 0)
		return err_errno(err, "pipe");
	if (pipe2(log, O_CLOEXEC) < 0) {
		(void)err_errno(err, "pipe");
		close_pair(ready);
		return -1;
	}
	out->pid = fork();
	if (out->pid == 0)
		become(launch, parent, ready[1], log[1]);
	if (out->pid < 0) {
		(void)err_errno(err, "starting %s", layout_role_name(launch->role));
		close_pair(ready);
		close_pair(log);
		return -1;
	}
	close(ready[1]);
	close(log[1]);
	out->ready_fd = ready[0];
	out->log_fd = log[0];
	return 0;
}
