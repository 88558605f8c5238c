/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of the demo.  A role says that it serves with one line of JSON on an inherited descriptor; nothing is polled and nothing sleeps. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "child.h"
#include "cmd.h"

#define ARGS_MAX 48
#define STOP_MS 5000

struct start {
	const char *name, *log_path, *out_path;
	const char *const *args;
	int ready_fd; /* -1: none */
};

/* In the child, after fork: only what is safe there. */
static _Noreturn void
become(const struct start *start, char **argv, const char *path, pid_t parent)
{
	int log = open(start->log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	int out = start->out_path ? open(start->out_path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : log;
	int null = open("/dev/null", O_RDONLY);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || log < 0 || out < 0 || null < 0)
		_exit(126);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	setpgid(0, 0); /* a Ctrl-C is for the demo, which then stops its children in order */
	execv(path, argv);
	_exit(127);
}

static pid_t
spawn(const struct start *start, struct err *err)
{
	OWN_TEXT path = cmd_service_path(start->name);
	char *argv[ARGS_MAX + 4], ready[16];
	pid_t parent = getpid(), pid;
	size_t n = 0;

	argv[n++] = path;
	for (size_t i = 0; start->args[i] && n < ARGS_MAX; i++)
		argv[n++] = mem_text(start->args[i]);
	if (start->ready_fd >= 0) {
		snprintf(ready, sizeof(ready), "%d", start->ready_fd);
		argv[n++] = mem_text("--ready-fd");
		argv[n++] = mem_text(ready);
	}
	argv[n] = NULL;
	pid = fork();
	if (pid == 0)
		become(start, argv, path, parent);
	for (size_t i = 1; i < n; i++)
		mem_free(argv[i]);
	return pid < 0 ? err_errno(err, "starting %s", start->name) : pid;
}

/* One line from fd, or nothing when the writer ended or the time is up. */
static int
read_line(struct buf *line, int fd, int64_t timeout_ms)
{
	int64_t until = clock_boot_ms() + timeout_ms;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = until - clock_boot_ms();
		char piece[1024];
		ssize_t got;

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return -1;
		got = read(fd, piece, sizeof(piece));
		if (got <= 0)
			return -1;
		buf_put(line, piece, (size_t)got);
		if (line->failed)
			return -1;
		if (line->data[line->len - 1] == '\n')
			return 0;
	}
}

static char *
last_line_of(const char *path)
{
	char text[4096] = "";
	FILE *f = fopen(path, "re");
	size_t n = 0;
	char *at;

	if (!f)
		return mem_text("");
	if (fseek(f, -(long)sizeof(text) + 1, SEEK_END) < 0)
		rewind(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	at = strrchr(text, '\n');
	return mem_text(at ? at + 1 : text);
}

static int
wait_ready(struct child *child, int fd, int64_t timeout_ms, struct err *err)
{
	struct buf line = BUF_INIT(65536);

	if (read_line(&line, fd, timeout_ms) == 0)
		child->ready = json_loads(buf_text(&line), 0, NULL);
	buf_clear(&line);
	if (!child->ready) {
		OWN_TEXT last = last_line_of(child->log_path);

		return err_set(err, ERR_UNAVAILABLE, "%s did not start: %s (log: %s)", child->name, last, child->log_path);
	}
	return 0;
}

struct child *
child_start(const char *name, const char *const *args, const char *log_path, int64_t timeout_ms, struct err *err)
{
	OWN(child) child = NEW(child);
	int ends[2], status;

	child->name = mem_text(name);
	child->log_path = mem_text(log_path);
	if (pipe(ends) < 0)
		return err_errno_null(err, "pipe");
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	child->pid = spawn(&(struct start){ .name = name, .args = args, .log_path = log_path, .ready_fd = ends[1] }, err);
	close(ends[1]);
	status = child->pid < 0 ? -1 : wait_ready(child, ends[0], timeout_ms, err);
	close(ends[0]);
	return status < 0 ? NULL : GIVE(child);
}

int
child_run(const char *name, const char *const *args, const char *log_path, const char *out_path, struct err *err)
{
	pid_t pid = spawn(
		&(struct start){ .name = name, .args = args, .log_path = log_path, .out_path = out_path, .ready_fd = -1 }, err);
	int status;

	if (pid < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, "waiting for %s", name);
	if (!WIFEXITED(status))
		return err_set(err, ERR_BROKEN, "%s ended by signal %d (log: %s)", name, WTERMSIG(status), log_path);
	return WEXITSTATUS(status);
}

static int
pidfd_of(pid_t pid)
{
	return (int)syscall(434 /* pidfd_open */, pid, 0);
}

/* True when it ended within the time. */
static bool
ended(pid_t pid, int64_t within_ms)
{
	int fd = pidfd_of(pid);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool gone = fd < 0 || poll(&p, 1, (int)within_ms) == 1;

	if (fd >= 0)
		close(fd);
	return gone;
}

void
child_free(struct child *child)
{
	if (!child)
		return;
	if (child->pid > 0) {
		kill(child->pid, SIGTERM);
		if (!ended(child->pid, STOP_MS))
			kill(child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
	}
	json_decref(child->ready);
	mem_free(child->name);
	mem_free(child->log_path);
	mem_free(child);
}

int64_t
child_port(const struct child *child, const char *key)
{
	return json_integer_value(json_object_get(child->ready, key));
}
