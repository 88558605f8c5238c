/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor: a poll over signals, what the roles say, and the operator's socket. */
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/executable.h"
#include "edge/control.h"
#include "edge/operator_files.h"
#include "edge/process_memory.h"
#include "edge/resolver_watch.h"
#include "edge/role_log.h"
#include "edge/role_process.h"
#include "edge/role_sandbox.h"
#include "edge/role_sockets.h"
#include "edge/role_state.h"
#include "edge/supervisor.h"
#include "wire/json.h"

#define STOP_MS 8000 /* a role gives its running requests 5 s */
#define POLL_MAX (POLL_ROLES + 2 * ROLE_COUNT + CONTROL_FDS_MAX)
#define RESOLVER_SETTLES_MS 1000 /* who changes one of its files often changes another */

/* What is polled: these, then a log and a ready descriptor of each role, then the operator's sockets. */
enum { POLL_SIGNALS, POLL_ASKER, POLL_RESOLVER, POLL_ROLES };

struct role {
	pid_t pid; /* 0: no process */
	bool is_asked_to_end;
	struct role_state state;
	int ready_fd; /* until it has said that it serves */
	struct buf ready_line;
	struct role_log log;
};

struct supervisor {
	const struct supervisor_config *config;
	const struct config *current; /* of which `changed` is the owner, once there was an apply */
	struct config *changed;
	struct role roles[ROLE_COUNT];
	int n_roles, signal_fd, sockets[LAYOUT_SOCKETS_MAX];
	int asked_fd; /* where edged asks which program a process runs (common/executable.h); -1: nowhere */
	struct control *control;
	int resolver_fd;	 /* -1: their sandbox shows the roles whatever is in /etc */
	int64_t resolver_due_ms; /* 0: nothing has changed */
	struct role_log own_log;
	struct role_facts facts; /* from edged, for the gateway */
	struct role_ports ports;
	int64_t started_ms;
	bool said_ready, stopping, anew;
	sigset_t before;
};

static const char *
name_of(const struct supervisor *s, const struct role *r)
{
	return layout_role_name((enum layout_role)(r - s->roles));
}

/* -- Starting ------------------------------------------------------------------------------------------------------------------------- */

/* A pair a process: whoever had the other end before asks nothing any more.  Returns edged's end, -1 where no module is known by its program. */
static int
open_asker(struct supervisor *s, enum layout_role role)
{
	const struct config *c = s->current;
	bool wanted = false;
	int pair[2];

	for (size_t i = 0; role == ROLE_EDGED && i < c->n_modules; i++)
		wanted = wanted || c->modules[i].executable;
	if (!wanted || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	if (s->asked_fd >= 0)
		close(s->asked_fd);
	s->asked_fd = pair[0];
	return pair[1];
}

static void
answer_asker(struct supervisor *s)
{
	if (executable_answer(s->asked_fd))
		return;
	close(s->asked_fd);
	s->asked_fd = -1;
}

static void
start(struct supervisor *s, struct role *r)
{
	enum layout_role role = (enum layout_role)(r - s->roles);
	struct role_args args;
	struct role_launch launch = {
		.config = s->current,
		.layout = s->config->layout,
		.role = role,
		.args = &args,
		.sockets = s->sockets,
		.asker_fd = open_asker(s, role),
		.signals = &s->before,
	};
	struct role_child child;
	struct err err = ERR_INIT;

	role_args_fill(&args, s->current, s->config->layout, role, &s->facts, &s->ports);
	if (role_process_start(&child, &launch, &err) < 0) {
		log_error("%s", err.text);
		role_state_failed(&r->state, clock_boot_ms());
	} else {
		r->pid = child.pid;
		r->ready_fd = child.ready_fd;
		role_log_attach(&r->log, child.log_fd);
		role_state_started(&r->state, clock_boot_ms());
	}
	if (launch.asker_fd >= 0)
		close(launch.asker_fd);
	r->is_asked_to_end = false;
	buf_reset(&r->ready_line);
	role_args_clear(&args);
}

/* The gateway is told who it is when it starts. */
static bool
may_start(const struct supervisor *s, const struct role *r)
{
	return r != &s->roles[ROLE_GATEWAY] || s->facts.generation;
}

static void
ask_to_end(struct role *r)
{
	if (r->pid == 0)
		return;
	r->is_asked_to_end = true;
	kill(r->pid, SIGTERM);
}

/* They would go on with the files that were there when they started, and can't read the new ones. */
static void
show_resolver_files(struct supervisor *s)
{
	s->resolver_due_ms = 0;
	for (int i = 0; i < s->n_roles; i++)
		if (role_sandbox_resolves_names(s->current, (enum layout_role)i) && s->roles[i].pid != 0) {
			log_info("%s is started again to see how names are resolved now: a file of /etc was replaced",
				name_of(s, &s->roles[i]));
			ask_to_end(&s->roles[i]);
		}
}

static int64_t
sooner(int64_t wait, int64_t due_ms, int64_t now)
{
	int64_t left = due_ms > now ? due_ms - now : 0;

	return wait < 0 || left < wait ? left : wait;
}

/* Those that are due.  Returns for how long there is nothing to do, -1 for ever. */
static int64_t
start_due(struct supervisor *s)
{
	int64_t now = clock_boot_ms(), wait = -1;

	if (control_deadline_ms(s->control) >= 0)
		wait = sooner(wait, control_deadline_ms(s->control), now);
	if (s->resolver_due_ms != 0 && s->resolver_due_ms <= now)
		show_resolver_files(s);
	else if (s->resolver_due_ms != 0)
		wait = sooner(wait, s->resolver_due_ms, now);
	for (int i = 0; i < s->n_roles; i++) {
		struct role *r = &s->roles[i];

		if (r->state.condition == ROLE_IS_WAITING && may_start(s, r))
			start(s, r);
		if (r->state.condition != ROLE_IS_DOWN || r->pid != 0)
			continue;
		if (r->state.start_ms <= now)
			start(s, r);
		else
			wait = sooner(wait, r->state.start_ms, now);
	}
	return wait;
}

/* -- What they say ---------------------------------------------------------------------------------------------------------------------- */

static bool
all_serve(const struct supervisor *s)
{
	for (int i = 0; i < s->n_roles; i++)
		if (s->roles[i].state.condition != ROLE_IS_SERVING)
			return false;
	return true;
}

static void
say_ready(struct supervisor *s)
{
	json_t *line = json_object();

	s->said_ready = true;
	if (s->ports.mqtt)
		json_object_set_new(line, "mqtt_port", json_integer(s->ports.mqtt));
	if (s->ports.https)
		json_object_set_new(line, "https_port", json_integer(s->ports.https));
	json_object_set_new(line, "separate_users", json_boolean(s->config->layout->separate_users));
	json_object_set_new(line, "mnt", json_string(s->config->layout->mnt));
	json_object_set_new(line, "management", json_string(s->config->layout->management));
	if (s->config->layout->workload)
		json_object_set_new(line, "workload", json_string(s->config->layout->workload));
	service_ready(s->config->service, line);
}

/* It was told what was before, and is started again. */
static void
take_facts(struct supervisor *s, const json_t *line)
{
	struct role_facts now = {
		.generation = mem_text(json_string_value(json_object_get(json_object_get(line, "generations"), "$edgeHub"))),
		.hub_name = mem_text(json_string_value(json_object_get(line, "hub_name"))),
		.device_id = mem_text(json_string_value(json_object_get(line, "device_id"))),
	};

	if (!now.generation || role_facts_are_same(&now, &s->facts)) {
		role_facts_clear(&now);
		return;
	}
	if (s->facts.generation)
		ask_to_end(&s->roles[ROLE_GATEWAY]);
	role_facts_clear(&s->facts);
	s->facts = now;
}

static void
take_ready(struct supervisor *s, struct role *r)
{
	OWN_LIB(json_t) json = json_loads(buf_text(&r->ready_line), 0, NULL);

	role_state_serves(&r->state, clock_boot_ms());
	log_info("%s serves", name_of(s, r));
	if (r == &s->roles[ROLE_EDGED])
		take_facts(s, json);
	if (r == &s->roles[ROLE_GATEWAY]) /* kept: a restarted gateway is found where it was */
		s->ports = (struct role_ports){ json_integer_value(json_object_get(json, "mqtt_port")),
			json_integer_value(json_object_get(json, "https_port")) };
	if (!s->said_ready && all_serve(s))
		say_ready(s);
}

static void
read_ready(struct supervisor *s, struct role *r)
{
	char piece[1024];
	ssize_t got = read(r->ready_fd, piece, sizeof(piece));

	if (got > 0) {
		buf_put(&r->ready_line, piece, (size_t)got);
		if (r->ready_line.failed || r->ready_line.data[r->ready_line.len - 1] != '\n')
			return;
		take_ready(s, r);
	}
	close(r->ready_fd);
	r->ready_fd = -1;
}

/* -- Ends ------------------------------------------------------------------------------------------------------------------------------- */

static void
report_end(struct supervisor *s, const struct role *r)
{
	const char *name = name_of(s, r), *last = *r->log.last ? r->log.last : "nothing";
	char how[80];

	role_state_end_words(&r->state, how, sizeof(how));
	if (r->state.condition == ROLE_IS_REFUSED)
		log_error("%s refuses its settings and is not started again; it said: %s", name, last);
	else if (role_state_keeps_ending(&r->state))
		log_error("%s %s, the %uth time in a row, and is started again in %lld s; somebody should look at it.  It said: %s",
			name, how, r->state.n_in_a_row, (long long)(r->state.back_off_ms + 999) / 1000, last);
	else
		log_error("%s %s, starting it again in %lld ms", name, how, (long long)r->state.back_off_ms);
}

static void
on_ended(struct supervisor *s, struct role *r, int status)
{
	role_log_read(&r->log); /* its last words */
	r->pid = 0;
	if (r->ready_fd >= 0)
		close(r->ready_fd);
	r->ready_fd = -1;
	role_state_ended(&r->state, status, r->is_asked_to_end, clock_boot_ms());
	if (!s->stopping && !r->is_asked_to_end)
		report_end(s, r);
}

static void
reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < s->n_roles; i++)
			if (s->roles[i].pid == pid)
				on_ended(s, &s->roles[i], status);
}

/* -- The operator ----------------------------------------------------------------------------------------------------------------------- */

static json_t *
socket_of(const struct supervisor *s, const struct role *r)
{
	const struct layout *l = s->config->layout;

	for (size_t i = 0; i < l->n_sockets; i++)
		if (&s->roles[l->sockets[i].role] == r && l->sockets[i].path)
			return json_string(l->sockets[i].path);
	return r == &s->roles[ROLE_EDGED] ? json_string(l->mnt) : json_null();
}

static json_t *
describe(const struct supervisor *s, const struct role *r)
{
	int64_t now = clock_boot_ms(), kib = 0;
	bool runs = r->pid != 0, is_pss = false;
	json_t *json = json_pack("{s:s, s:s, s:b, s:I, s:I, s:o, s:s}", "name", name_of(s, r), "state", role_state_words(&r->state),
		"failed", r->state.condition == ROLE_IS_DOWN || r->state.condition == ROLE_IS_REFUSED, "for_s",
		(json_int_t)(now - r->state.since_ms) / 1000, "restarts", (json_int_t)r->state.n_restarts, "socket",
		socket_of(s, r), "log", r->log.path);

	if (runs) {
		kib = process_memory_kib(r->pid, &is_pss);
		json_object_set_new(json, "pid", json_integer(r->pid));
		json_object_set_new(json, is_pss ? "pss_kib" : "rss_kib", json_integer(kib));
	} else if (r->state.condition == ROLE_IS_DOWN) {
		json_object_set_new(json, "next_start_ms", json_integer(r->state.start_ms > now ? r->state.start_ms - now : 0));
	}
	if (!runs && *r->log.last)
		json_object_set_new(json, "said", json_string(r->log.last));
	return json;
}

static json_t *
status(const struct supervisor *s)
{
	json_t *roles = json_array();

	for (int i = 0; i < s->n_roles; i++)
		json_array_append_new(roles, describe(s, &s->roles[i]));
	return json_pack("{s:s, s:s*, s:i, s:I, s:b, s:b, s:s, s:s, s:s, s:o}", "version", ROOTEDGE_VERSION, "config",
		s->config->path, "pid", (int)getpid(), "for_s", (json_int_t)(clock_boot_ms() - s->started_ms) / 1000,
		"separate_users", s->config->layout->separate_users, "stopping", s->stopping, "management",
		s->config->layout->management, "identityd", s->config->layout->identityd, "mnt", s->config->layout->mnt, "roles",
		roles);
}

/* What refused its settings, or waits to be started again, is started now. */
static json_t *
restart(struct supervisor *s, const char *name)
{
	for (int i = 0; i < s->n_roles; i++) {
		struct role *r = &s->roles[i];

		if (!text_is(name, name_of(s, r)))
			continue;
		log_info("%s is started again, as the operator wishes", name);
		ask_to_end(r);
		if (r->pid == 0)
			start(s, r);
		return json_pack("{s:I}", "restarts", (json_int_t)r->state.n_restarts + (r->is_asked_to_end ? 1 : 0));
	}
	return json_pack("{s:s}", "error", "this device has no such role");
}

static json_t *
refuse(const struct err *err)
{
	log_error("everything goes on as it was: %s", err->text);
	return json_pack("{s:s}", "error", err->text);
}

static json_t *
start_anew(struct supervisor *s)
{
	s->anew = s->stopping = true;
	return json_pack("{s:b}", "anew", 1);
}

/* All of it, from config.toml on. */
static json_t *
restart_all(struct supervisor *s)
{
	struct err err = ERR_INIT;
	OWN(config) config = s->config->load(s->config->arg, &err);

	return config ? start_anew(s) : refuse(&err);
}

/* The gateway is told by its arguments. */
static bool
changes_gateway(const struct supervisor *s, const struct config *next)
{
	struct role_ports none = { 0 };
	struct role_args now, then;
	bool changes;

	role_args_fill(&now, s->current, s->config->layout, ROLE_GATEWAY, &s->facts, &none);
	role_args_fill(&then, next, s->config->layout, ROLE_GATEWAY, &s->facts, &none);
	changes = now.n != then.n;
	for (size_t i = 0; !changes && i < now.n; i++)
		changes = !text_is(now.item[i], then.item[i]);
	role_args_clear(&now);
	role_args_clear(&then);
	return changes;
}

static json_t *
restart_changed(struct supervisor *s, const struct layout_news *news)
{
	json_t *names = json_array();

	for (int i = 0; i < s->n_roles; i++) {
		struct role *r = &s->roles[i];

		if (!news->role[i])
			continue;
		log_info("%s is started again with what config.toml says now", name_of(s, r));
		json_array_append_new(names, json_string(name_of(s, r)));
		if (r->pid != 0)
			ask_to_end(r);
		else if (may_start(s, r))
			start(s, r);
	}
	if (news->names)
		log_info("the gateway's certificate gets other names");
	return json_pack("{s:o, s:b}", "changed", names, "names", news->names);
}

/* A full disk, say: what was written of it is not to be met by a role that starts again. */
static void
take_back(const struct supervisor *s)
{
	struct layout_news ignored = { 0 };
	struct err err = ERR_INIT;

	if (layout_tell(s->config->layout, s->current, &ignored, &err) < 0)
		log_error("what the roles were told before could not be written again: %s", err.text);
}

/* Only those whose orders have become others.  What the folders and sockets follow from can't change under them: then all of it is started anew. */
static json_t *
apply(struct supervisor *s)
{
	const struct layout *l = s->config->layout;
	struct err err = ERR_INIT;
	OWN(config) next = s->config->load(s->config->arg, &err);
	struct layout_news news = { 0 };

	if (!next || operator_files_check(next, &err) < 0 || operator_files_check_server_certs(next, &err) < 0 || role_sockets_check(l, next, &err) < 0)
		return refuse(&err);
	if (!layout_fits(l, s->current, next))
		return start_anew(s);
	if (layout_tell(l, next, &news, &err) < 0) {
		take_back(s);
		return refuse(&err);
	}
	news.role[ROLE_KEYD] |= !config_keys_same_access(&s->current->keys, &next->keys);
	news.role[ROLE_GATEWAY] |= changes_gateway(s, next);
	if (s->current->gateway_mqtt_port != next->gateway_mqtt_port)
		s->ports.mqtt = 0; /* else it stays where it is */
	if (s->current->gateway_https_port != next->gateway_https_port)
		s->ports.https = 0;
	config_free(s->changed);
	s->current = s->changed = GIVE(next);
	return restart_changed(s, &news);
}

static json_t *
on_request(const json_t *request, void *arg)
{
	struct supervisor *s = arg;
	const char *verb = json_string_value(json_object_get(request, "verb"));
	const char *role = json_string_value(json_object_get(request, "role"));

	if (text_is(verb, "status"))
		return status(s);
	if (text_is(verb, "restart"))
		return role ? restart(s, role) : restart_all(s);
	if (text_is(verb, "apply"))
		return apply(s);
	return json_pack("{s:s}", "error", "the verb is status, restart or apply");
}

/* -- The loop --------------------------------------------------------------------------------------------------------------------------- */

static void
read_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(s);
	else if (info.ssi_signo == SIGHUP)
		json_decref(apply(s));
	else
		s->stopping = true;
}

/* One look at everything, for so long at the most (-1: for ever). */
static void
turn(struct supervisor *s, int64_t wait_ms)
{
	struct pollfd p[POLL_MAX] = {
		[POLL_SIGNALS] = { .fd = s->signal_fd, .events = POLLIN },
		[POLL_ASKER] = { .fd = s->asked_fd, .events = POLLIN },
		[POLL_RESOLVER] = { .fd = s->resolver_fd, .events = POLLIN },
	};
	const struct pollfd *of_role = p + POLL_ROLES;
	size_t n = POLL_ROLES;

	for (int i = 0; i < s->n_roles; i++) {
		p[n++] = (struct pollfd){ .fd = s->roles[i].log.fd, .events = POLLIN };
		p[n++] = (struct pollfd){ .fd = s->roles[i].ready_fd, .events = POLLIN };
	}
	n += control_poll(s->control, p + n);
	if (poll(p, (nfds_t)n, (int)wait_ms) < 0)
		return;
	for (int i = 0; i < s->n_roles; i++, of_role += 2) {
		if (of_role[0].revents)
			role_log_read(&s->roles[i].log);
		if (of_role[1].revents)
			read_ready(s, &s->roles[i]);
	}
	if (p[POLL_ASKER].revents)
		answer_asker(s);
	if (p[POLL_SIGNALS].revents)
		read_signal(s);
	if (p[POLL_RESOLVER].revents && resolver_watch_changed(s->resolver_fd))
		s->resolver_due_ms = clock_boot_ms() + RESOLVER_SETTLES_MS;
	control_serve(s->control);
	role_log_turn_over(&s->own_log);
	log_copy(s->own_log.file);
}

static void
stop_one(struct supervisor *s, struct role *r)
{
	int64_t until = clock_boot_ms() + STOP_MS;

	ask_to_end(r);
	while (r->pid != 0) {
		int64_t left = until - clock_boot_ms();

		if (left > 0) {
			turn(s, left);
			continue;
		}
		log_warn("%s does not end, it is killed", name_of(s, r));
		kill(r->pid, SIGKILL);
		until = clock_boot_ms() + STOP_MS;
	}
}

static void
open_logs(struct supervisor *s, const char *dir)
{
	role_log_open(&s->own_log, dir, "edge");
	log_copy(s->own_log.file);
	for (int i = 0; i < s->n_roles; i++)
		role_log_open(&s->roles[i].log, dir, name_of(s, &s->roles[i]));
}

static void
block_signals(struct supervisor *s)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, &s->before);
	s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
clear(struct supervisor *s)
{
	const struct layout *l = s->config->layout;

	log_copy(-1);
	for (int i = 0; i < s->n_roles; i++) {
		role_log_close(&s->roles[i].log);
		buf_clear(&s->roles[i].ready_line);
	}
	role_log_close(&s->own_log);
	control_free(s->control);
	for (size_t i = 0; i < l->n_sockets; i++)
		if (s->sockets[i] >= 0)
			close(s->sockets[i]);
	if (s->asked_fd >= 0)
		close(s->asked_fd);
	close(s->signal_fd);
	if (s->resolver_fd >= 0)
		close(s->resolver_fd);
	sigprocmask(SIG_SETMASK, &s->before, NULL);
	role_facts_clear(&s->facts);
	config_free(s->changed);
}

enum supervisor_end
supervisor_run(const struct supervisor_config *config, struct err *err)
{
	struct supervisor s = { .config = config, .current = config->config, .started_ms = clock_boot_ms(), .asked_fd = -1 };
	const struct layout *l = config->layout;

	if (role_sockets_open(l, s.sockets, err) < 0)
		return SUPERVISOR_FAILED;
	s.n_roles = layout_n_roles(config->config);
	for (int i = 0; i < s.n_roles; i++) {
		s.roles[i].ready_fd = -1;
		s.roles[i].ready_line = (struct buf)BUF_INIT(65536);
	}
	open_logs(&s, l->logs);
	block_signals(&s);
	s.resolver_fd = !l->separate_users && sandbox_separates_files() ? resolver_watch_open() : -1;
	s.control = control_open(l->control, l->state, on_request, &s, err);
	while (s.control && !s.stopping)
		turn(&s, start_due(&s));
	if (!s.anew)
		service_stopping();
	/* Whoever uses a service ends before it. */
	for (int i = s.n_roles - 1; s.control && i >= 0; i--)
		stop_one(&s, &s.roles[i]);
	clear(&s);
	if (!s.control)
		return SUPERVISOR_FAILED;
	return s.anew ? SUPERVISOR_TO_START_ANEW : SUPERVISOR_STOPPED;
}
