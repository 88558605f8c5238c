/* SPDX-License-Identifier: Apache-2.0 */
/* The common part of the services' main. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "common/activation.h"
#include "common/notify.h"
#include "common/service.h"
#include "common/syscall_filter.h"
#include "wire/json.h"

#define DESCRIPTORS_OWN 256 /* files, sockets and loops of the service itself, and some to spare */
#define CONNECTIONS_DEFAULT 100000

/* Each connection takes a descriptor, and the soft limit of a shell or of systemd is far below what the hard one allows. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warn("the limit of open files can't be raised: %s", strerror(errno));
}

size_t
service_max_connections(int64_t wanted, size_t descriptors_each)
{
	struct rlimit limit = { .rlim_cur = DESCRIPTORS_OWN };
	size_t may, most = wanted > 0 ? (size_t)wanted : CONNECTIONS_DEFAULT;

	getrlimit(RLIMIT_NOFILE, &limit);
	may = limit.rlim_cur > 2 * DESCRIPTORS_OWN ? (limit.rlim_cur - DESCRIPTORS_OWN) / descriptors_each : DESCRIPTORS_OWN / 2;
	if (may < most && wanted > 0)
		log_warn("%zu open files allow %zu connections, not %zu", (size_t)limit.rlim_cur, may, most);
	return may < most ? may : most;
}

int
service_last_descriptor(void)
{
	struct rlimit limit = { .rlim_cur = 2 * DESCRIPTORS_OWN };

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > INT_MAX)
		return INT_MAX;
	return (int)limit.rlim_cur - (limit.rlim_cur > 2 * DESCRIPTORS_OWN ? DESCRIPTORS_OWN : DESCRIPTORS_OWN / 4);
}

/* The kernel gives the lowest that is free. */
bool
service_may_connect(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0 && fd <= service_last_descriptor();
}

static void
take_ready_fd(struct service_options *options)
{
	const char *from_env = getenv("ROOTEDGE_READY_FD");

	if (options->ready_fd < 0 && from_env)
		text_to_i64(from_env, 0, 1 << 20, &options->ready_fd);
	unsetenv("ROOTEDGE_READY_FD");
	if (options->ready_fd >= 0)
		fcntl((int)options->ready_fd, F_SETFD, FD_CLOEXEC);
}

static void
confine(void)
{
	struct err err = ERR_INIT;

	if (syscall_filter_enter(SYSCALL_FILTER_SERVICE, &err) < 0)
		log_warn("%s; it goes on without", err.text);
}

void
service_start(const char *role, struct service_options *options)
{
	pid_t parent = getppid();

	log_init(role);
	umask(0077);
	secret_harden_process();
	mem_begin();
	raise_descriptor_limit();
	take_ready_fd(options);
	activation_take();
	notify_take();
	if (!options->runs_programs)
		confine();
	if (!options->die_with_parent)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1); /* it ended meanwhile */
}

/* -- systemd ------------------------------------------------------------------------------------------------------------------------- */

/* Of the process, as its signals are. */
static struct {
	void (*reload)(void *arg);
	void *arg;
	struct timer alive;
} main_loop;

static void
reload_and_say_so(void *arg)
{
	(void)arg;
	if (!main_loop.reload)
		return;
	notify_reloading();
	main_loop.reload(main_loop.arg);
	notify_ready();
}

static void
say_alive(struct timer *timer)
{
	notify_alive();
	timer_arm(timer, notify_watchdog_ms() / 3);
}

void
service_handle_signals(struct loop *loop, void (*reload)(void *arg), void *arg)
{
	main_loop.reload = reload;
	main_loop.arg = arg;
	loop_handle_signals(loop, reload_and_say_so, NULL);
	if (notify_watchdog_ms() == 0)
		return;
	timer_init(&main_loop.alive, loop, say_alive);
	timer_arm(&main_loop.alive, 0);
}

void
service_stopping(void)
{
	if (main_loop.alive.loop)
		timer_cancel(&main_loop.alive);
	notify_stopping();
}

void
service_ready(const struct service_options *options, json_t *members_take)
{
	OWN_LIB(json_t) line = members_take ? members_take : json_object();
	int fd = (int)options->ready_fd;
	OWN_TEXT text = NULL;
	OWN_TEXT whole = NULL;

	notify_ready();
	if (fd < 0)
		return;
	json_object_set_new(line, "ready", json_true());
	text = json_line(line);
	whole = mem_textf("%s\n", text);
	if (write(fd, whole, strlen(whole)) < 0)
		log_warn("could not say on descriptor %d that it is ready", fd);
	close(fd);
}

void
service_log_verdict(const struct verdict *verdict)
{
	enum log_level level = verdict_accepted(verdict) ? LOG_INFO : LOG_WARN;
	OWN_TEXT json = NULL;
	OWN_TEXT sentence = NULL;

	if (level > log_level())
		return;
	json = verdict_json(verdict);
	sentence = verdict_sentence(verdict);
	log_event(level, "verdict", json, sentence);
}

void
service_log_storing(const char *why)
{
	if (why)
		log_error("messages cannot be stored: %s", why);
	else
		log_info("messages are stored again");
}

void
service_log_violation(const char *who, enum reason reason, const char *detail)
{
	const struct reason_row *row = reason_row(reason);
	enum log_level level = row->severity == REASON_BAD ? LOG_WARN : LOG_INFO;
	OWN_LIB(json_t) json = NULL;
	OWN_TEXT text = NULL;
	OWN_TEXT sentence = NULL;

	if (level > log_level())
		return;
	json = json_pack("{s:s, s:s, s:s%}", "who", who, "reason", row->code, "detail", detail, strlen(detail));
	if (!json)
		json = json_pack("{s:s, s:s}", "who", who, "reason", row->code);
	text = json_line(json);
	sentence = mem_textf("%s: %s %s%s%s", who, row->code, row->sentence, *detail ? " " : "", detail);
	log_event(level, "violation", text, sentence);
}
