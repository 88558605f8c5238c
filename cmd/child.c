/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of the demo.  A role says that it serves with one line of JSON on an inherited descriptor, and that it has ended
 * with its pidfd; nothing is polled again and again, and nothing sleeps. */
#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd.h"

#define ARGS_MAX 48
#define READY_MAX 65536
#define STOP_MS 5000

/* -- Starting ---------------------------------------------------------------------------------------------------------------- */

/* In the child, after fork: only what is safe there.  From the first moment on it ends when we do, whatever ends us. */
static _Noreturn void
become(const struct child_spec *spec, char **argv, pid_t parent)
{
	int log = open(spec->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || log < 0 || null < 0)
		_exit(126);
	dup2(null, STDIN_FILENO);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	setpgid(0, 0); /* a Ctrl-C is for the demo, which then stops its children in order */
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(argv[0], argv);
	_exit(127);
}

static struct child *
spawn(const struct child_spec *spec, int ready_fd, struct err *err)
{
	OWN(child) child = NEW(child);
	OWN_TEXT path = spec->by_command ? mem_text("/proc/self/exe") : cmd_service_path(spec->name);
	char *argv[ARGS_MAX + 5] = { path }, ready[16];
	pid_t parent = getpid();
	size_t n = 1;

	if (spec->by_command)
		argv[n++] = (char *)(uintptr_t)spec->name;
	for (const char *const *arg = spec->args; *arg && n <= ARGS_MAX; arg++)
		argv[n++] = (char *)(uintptr_t)*arg;
	if (ready_fd >= 0) {
		snprintf(ready, sizeof(ready), "%d", ready_fd);
		argv[n++] = (char *)(uintptr_t) "--ready-fd";
		argv[n++] = ready;
	}
	child->name = mem_text(spec->name);
	child->log_path = mem_text(spec->log_path);
	child->pid_fd = -1;
	child->pid = fork();
	if (child->pid == 0)
		become(spec, argv, parent);
	if (child->pid < 0)
		return err_errno_null(err, "starting %s", spec->name);
	child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	return child->pid_fd < 0 ? err_errno_null(err, "watching %s", spec->name) : GIVE(child);
}

/* -- Waiting ----------------------------------------------------------------------------------------------------------------- */

/* Until fd is readable. */
static int
wait_for(int fd, const struct child_spec *spec, int64_t until_ms, struct err *err)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = spec->stop_fd, .events = POLLIN } };
	int64_t left;
	int n;

	do {
		left = until_ms - clock_boot_ms();
		n = poll(p, COUNT(p), left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return err_set(
			err, ERR_UNAVAILABLE, "%s: nothing happened within %d s", spec->name, (int)(spec->timeout_ms / 1000));
	return p[1].revents ? err_set(err, ERR_UNAVAILABLE, "interrupted") : 0;
}

/* What it said last: an operator's sentence, in JSON or as it is. */
static char *
last_words(const char *path)
{
	CLEAR(buf) log = BUF_INIT(16 << 20);
	struct err err = ERR_INIT;
	json_t *line;
	char *text, *at;

	if (file_load(&log, path, &err) < 0 || log.len == 0)
		return mem_text("it said nothing");
	while (log.len > 0 && log.data[log.len - 1] == '\n')
		log.data[--log.len] = '\0';
	at = strrchr((char *)log.data, '\n');
	at = at ? at + 1 : (char *)log.data;
	line = json_loads(at, 0, NULL);
	text = mem_text(json_string_value(json_object_get(line, "message")));
	json_decref(line);
	return text ? text : mem_text(at);
}

static int
wait_ready(struct child *child, int fd, const struct child_spec *spec, struct err *err)
{
	CLEAR(buf) line = BUF_INIT(READY_MAX);
	int64_t until_ms = clock_boot_ms() + spec->timeout_ms;
	OWN_TEXT words = NULL;
	char piece[1024];
	ssize_t got;

	while (wait_for(fd, spec, until_ms, err) == 0 && (got = read(fd, piece, sizeof(piece))) > 0) {
		buf_put(&line, piece, (size_t)got);
		if (line.failed || piece[got - 1] == '\n')
			break;
	}
	child->ready = json_loads(buf_text(&line), 0, NULL);
	if (child->ready)
		return 0;
	words = last_words(spec->log_path);
	return err_set(err, ERR_UNAVAILABLE, "%s did not start: %s", spec->name, words);
}

struct child *
child_start(const struct child_spec *spec, struct err *err)
{
	OWN(child) child = NULL;
	int ends[2], status;

	if (pipe(ends) < 0)
		return err_errno_null(err, "pipe");
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	child = spawn(spec, ends[1], err);
	close(ends[1]);
	status = child ? wait_ready(child, ends[0], spec, err) : -1;
	close(ends[0]);
	return status < 0 ? NULL : GIVE(child);
}

int
child_run(const struct child_spec *spec, struct err *err)
{
	OWN(child) child = spawn(spec, -1, err);
	int status;

	if (!child || wait_for(child->pid_fd, spec, clock_boot_ms() + spec->timeout_ms, err) < 0)
		return -1;
	waitpid(child->pid, &status, 0);
	child->pid = 0;
	if (!WIFEXITED(status))
		return err_set(err, ERR_BROKEN, "%s ended by signal %d", spec->name, WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* -- Ending ------------------------------------------------------------------------------------------------------------------ */

static bool
ends_within(const struct child *child, int timeout_ms)
{
	return poll(&(struct pollfd){ .fd = child->pid_fd, .events = POLLIN }, 1, timeout_ms) == 1;
}

bool
child_has_ended(const struct child *child)
{
	return ends_within(child, 0);
}

void
child_free(struct child *child)
{
	if (!child)
		return;
	if (child->pid > 0) {
		kill(child->pid, SIGTERM);
		if (!ends_within(child, STOP_MS))
			kill(child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
	}
	if (child->pid_fd >= 0)
		close(child->pid_fd);
	json_decref(child->ready);
	mem_free(child->name);
	mem_free(child->log_path);
	mem_free(child);
}

int
child_port(const struct child *child, const char *key)
{
	return (int)json_integer_value(json_object_get(child->ready, key));
}
