/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-edge: starts keyd, certd, identityd, edged and the gateway in this order, each in its sandbox and each when the one before serves; starts again what ends, and on SIGTERM
 * ends them in the opposite order. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "common/service.h"
#include "edge/config_param.h"
#include "edge/config_source.h"
#include "edge/layout.h"
#include "edge/sandbox.h"
#include "wire/json.h"

#define ARGS_MAX 96
#define BACK_OFF_MIN_MS 500
#define BACK_OFF_MAX_MS 30000
#define BACK_OFF_SERVED_MAX_MS 2000 /* of a role that did serve: devices and modules wait for it */
#define STOP_MS 5000

struct options {
	const char *config, *state;
	bool check, reference;
	struct service_options service;
};

static const struct option_row rows[] = {
	{ "config", 'c', "FILE", "config.toml ($ROOTEDGE_CONFIG, /etc/aziot/config.toml)", OPTION_TEXT,
		offsetof(struct options, config), 0, 0 },
	{ "state", 's', "DIR", "the state folder (/var/lib/aziot)", OPTION_TEXT, offsetof(struct options, state), 0, 0 },
	{ "check", 0, NULL, "check the configuration and end", OPTION_FLAG, offsetof(struct options, check), 0, 0 },
	{ "config-reference", 0, NULL, "print every key of config.toml and end", OPTION_FLAG, offsetof(struct options, reference),
		0, 0 },
	SERVICE_OPTION_ROWS(struct options, service),
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge edge",
	.arguments = "",
	.summary = "An edge device: keys, certificates, identity, workload API and gateway, started and watched.",
	.rows = rows,
};

struct role {
	pid_t pid;
	int ready_fd; /* until it has said that it serves */
	struct buf ready_line;
	bool is_ready;
	int64_t start_at, back_off_ms, started; /* boot clock; start_at 0: not waiting */
};

struct edge {
	struct config *config;
	struct layout *layout;
	struct role roles[ROLE_COUNT];
	int n_roles, signal_fd;
	char *generation; /* of $edgeHub, from edged */
	int64_t mqtt_port;
	bool said_ready, stopping;
	sigset_t signals, before;
	const struct options *options;
};

/* -- Starting a role ---------------------------------------------------------------------------------------------------------------- */

static char *
program_of(enum layout_role role)
{
	OWN_TEXT dir = file_own_dir();
	OWN_TEXT built = mem_textf("%s/../%s/rootedge-%s", dir, layout_role_name(role), layout_role_name(role));

	if (access(built, X_OK) == 0)
		return GIVE(built);
	return mem_textf("%s/rootedge-%s", dir, layout_role_name(role));
}

static void
push(char **args, size_t *n, const char *name, const char *value)
{
	if (!value || *n + 2 >= ARGS_MAX)
		return;
	args[(*n)++] = mem_text(name);
	args[(*n)++] = mem_text(value);
}

static void
push_int(char **args, size_t *n, const char *name, int64_t value)
{
	OWN_TEXT text = mem_textf("%lld", (long long)value);

	push(args, n, name, text);
}

static void
push_gateway(const struct edge *e, char **args, size_t *n)
{
	const struct config *c = e->config;
	const struct layout *l = e->layout;

	push(args, n, "--state", l->dirs[ROLE_GATEWAY]);
	push(args, n, "--hostname", c->hostname);
	for (size_t i = 0; i < c->n_names; i++)
		push(args, n, "--name", c->names[i]);
	push(args, n, "--address", c->gateway_address);
	push_int(args, n, "--mqtt-port", e->mqtt_port ? e->mqtt_port : c->gateway_mqtt_port);
	push(args, n, "--keyd", l->keyd[ROLE_GATEWAY]);
	push(args, n, "--workload", l->gateway_workload);
	push(args, n, "--generation-id", e->generation);
	push(args, n, "--device-id", c->device_id);
	push(args, n, "--hub", c->hub_name);
	push(args, n, "--hub-address", c->upstream_address);
	push_int(args, n, "--hub-mqtt-port", c->upstream_mqtt_port);
	push_int(args, n, "--hub-https-port", c->upstream_https_port);
	push(args, n, "--trust", l->identity_bundle);
	push_int(args, n, "--max-queue-mib", c->max_queue_mib);
}

static void
allow_read(struct sandbox *s, const char *path)
{
	if (path && s->n_read < SANDBOX_PATHS_MAX)
		s->read[s->n_read++] = path;
}

static void
allow_write(struct sandbox *s, const char *path)
{
	if (path && s->n_write < SANDBOX_PATHS_MAX)
		s->write[s->n_write++] = path;
}

/* The process becomes the role or ends, so what is allocated on the way there is never freed. */
static void
allow_key(struct sandbox *s, const char *place)
{
	char *files[CONFIG_PLACE_FILES];
	size_t n = config_keys_files(place, files);

	for (size_t i = 0; i < n; i++)
		allow_read(s, files[i]);
}

static void
allow_keys(struct sandbox *s, const struct config *c)
{
	const char *places[] = { c->identity_pk, c->device_key_path, c->ca_pk, c->issuance.local_ca_pk, c->keys.pkcs11_base_slot };
	const char *id;
	json_t *place;

	for (size_t i = 0; i < COUNT(places); i++)
		allow_key(s, places[i]);
	json_object_foreach(c->preloaded_keys, id, place)
		allow_key(s, json_string_value(place));
	json_object_foreach(c->issuance.keys, id, place)
		allow_key(s, json_string_value(place));
	allow_read(s, c->keys.pkcs11_lib_path);
	allow_write(s, "/dev/tpmrm0");
	allow_write(s, "/dev/tpm0");
	for (size_t i = 0; i < c->keys.n_paths; i++)
		allow_write(s, c->keys.paths[i]);
	s->groups = c->keys.groups;
	s->n_groups = c->keys.n_groups;
}

static void
allow_certs(struct sandbox *s, const struct config *c)
{
	const char *files[] = { c->identity_cert, c->ca_cert, c->issuance.local_ca_cert, c->trust_bundle };
	const json_t *tables[] = { c->preloaded_certs, c->issuance.certs };
	const char *id;
	json_t *path;

	for (size_t i = 0; i < COUNT(files); i++)
		allow_read(s, files[i]);
	for (size_t i = 0; i < COUNT(tables); i++)
		json_object_foreach((json_t *)(uintptr_t)tables[i], id, path)
			allow_read(s, json_string_value(path)); /* a list has none */
}

static void
fill_sandbox(const struct edge *e, enum layout_role role, struct sandbox *s, const char *program_dir)
{
	const struct layout *l = e->layout;
	const struct config *c = e->config;

	*s = (struct sandbox){ .change_user = l->separate_users, .uid = l->users[role].uid };
	allow_read(s, program_dir);
	allow_read(s, l->identity_bundle);
	allow_read(s, l->config_dirs[role]);
	if (role == ROLE_CERTD)
		allow_certs(s, c);
	if (role == ROLE_KEYD)
		allow_keys(s, c);
	allow_read(s, getenv("ROOTEDGE_CLOCK_FILE"));
	allow_write(s, l->dirs[role]);
	if (role != ROLE_GATEWAY && role != ROLE_EDGED)
		allow_write(s, l->run_dir);
	if (role == ROLE_KEYD)
		allow_write(s, l->gateway_run_dir);
}

/* A session of its own: a role has no business with the operator's terminal, and Ctrl-C there is for the supervisor, which ends the roles in order. */
static void
leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null >= 0)
		dup2(null, STDIN_FILENO);
}

/* After fork; a sentence about what went wrong goes to the log that the role inherits. */
static _Noreturn void
become(const struct edge *e, enum layout_role role, char **args, pid_t parent, int ready_fd)
{
	OWN_TEXT dir = mem_text(args[0]);
	int program = open(args[0], O_PATH | O_CLOEXEC); /* while the way there is open */
	struct sandbox sandbox;
	struct err err = ERR_INIT;
	char *slash = strrchr(dir, '/');

	sigprocmask(SIG_SETMASK, &e->before, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (slash)
		*slash = '\0';
	fcntl(ready_fd, F_SETFD, 0);
	leave_terminal();
	fill_sandbox(e, role, &sandbox, dir);
	if (sandbox_enter(&sandbox, &err) < 0) {
		log_error("%s: %s", layout_role_name(role), err.text);
		_exit(1);
	}
	config_source_clear_environment();
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* cleared by the change of user */
	execv(args[0], args);
	if (errno == EACCES) /* a folder on the way is closed to the role's user */
		execveat(program, "", args, environ, AT_EMPTY_PATH);
	log_error("running %s: %s", args[0], strerror(errno));
	_exit(127);
}

static void
start(struct edge *e, enum layout_role role)
{
	struct role *r = &e->roles[role];
	char *args[ARGS_MAX + 1] = { program_of(role) };
	size_t n = 1;
	int ends[2];
	pid_t parent = getpid();

	r->start_at = 0;
	r->started = clock_boot_ms();
	if (pipe2(ends, O_CLOEXEC) < 0) {
		log_error("pipe: %s", strerror(errno));
		r->start_at = clock_boot_ms() + BACK_OFF_MAX_MS;
		mem_free(args[0]);
		return;
	}
	if (role == ROLE_GATEWAY)
		push_gateway(e, args, &n);
	else
		push(args, &n, "--config", e->layout->configs[role]);
	push_int(args, &n, "--ready-fd", ends[1]);
	r->pid = fork();
	if (r->pid == 0)
		become(e, role, args, parent, ends[1]);
	close(ends[1]);
	for (size_t i = 0; i < n; i++)
		mem_free(args[i]);
	if (r->pid < 0) {
		log_error("starting %s: %s", layout_role_name(role), strerror(errno));
		close(ends[0]);
		r->pid = 0;
		r->start_at = clock_boot_ms() + BACK_OFF_MAX_MS;
		return;
	}
	r->ready_fd = ends[0];
	buf_reset(&r->ready_line);
}

/* -- Watching ------------------------------------------------------------------------------------------------------------------------- */

static void
say_ready(struct edge *e)
{
	json_t *line = json_object();

	if (e->said_ready)
		return;
	e->said_ready = true;
	if (e->mqtt_port)
		json_object_set_new(line, "mqtt_port", json_integer(e->mqtt_port));
	json_object_set_new(line, "separate_users", json_boolean(e->layout->separate_users));
	json_object_set_new(line, "mnt", json_string(e->layout->mnt));
	service_ready(&e->options->service, line);
}

static void
take_ready(struct edge *e, enum layout_role role)
{
	OWN_LIB(json_t) json = json_loads(buf_text(&e->roles[role].ready_line), 0, NULL);
	const char *generation = json_string_value(json_object_get(json_object_get(json, "generations"), "$edgeHub"));

	e->roles[role].is_ready = true;
	if (generation && e->generation && !text_is(generation, e->generation) && e->n_roles > ROLE_GATEWAY &&
		e->roles[ROLE_GATEWAY].pid > 0)
		kill(e->roles[ROLE_GATEWAY].pid, SIGTERM); /* it was told the one before, and is started again */
	if (generation) {
		mem_free(e->generation);
		e->generation = mem_text(generation);
	}
	if (role == ROLE_GATEWAY)
		e->mqtt_port = json_integer_value(
			json_object_get(json, "mqtt_port")); /* kept: a restarted gateway is found where it was */
	log_info("%s serves", layout_role_name(role));
	if ((int)role + 1 == e->n_roles)
		say_ready(e);
	else if (e->roles[role + 1].pid == 0 && e->roles[role + 1].start_at == 0)
		start(e, (enum layout_role)(role + 1));
}

static void
read_ready(struct edge *e, enum layout_role role)
{
	struct role *r = &e->roles[role];
	char piece[1024];
	ssize_t got = read(r->ready_fd, piece, sizeof(piece));

	if (got > 0) {
		buf_put(&r->ready_line, piece, (size_t)got);
		if (r->ready_line.failed || r->ready_line.data[r->ready_line.len - 1] != '\n')
			return;
		take_ready(e, role);
	}
	close(r->ready_fd);
	r->ready_fd = -1;
}

static void
on_ended(struct edge *e, enum layout_role role, int status)
{
	struct role *r = &e->roles[role];
	int64_t back_off_max = r->is_ready ? BACK_OFF_SERVED_MAX_MS : BACK_OFF_MAX_MS;

	r->pid = 0;
	r->is_ready = false;
	if (r->ready_fd >= 0)
		close(r->ready_fd);
	r->ready_fd = -1;
	if (e->stopping)
		return;
	r->back_off_ms = clock_boot_ms() - r->started > 60000 || r->back_off_ms == 0 ? BACK_OFF_MIN_MS : r->back_off_ms * 2;
	r->back_off_ms = r->back_off_ms < back_off_max ? r->back_off_ms : back_off_max;
	r->start_at = clock_boot_ms() + r->back_off_ms;
	log_error("%s ended (%s %d), starting it again in %lld ms", layout_role_name(role), WIFEXITED(status) ? "status" : "signal",
		WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), (long long)r->back_off_ms);
}

static void
reap(struct edge *e)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int r = 0; r < e->n_roles; r++)
			if (e->roles[r].pid == pid)
				on_ended(e, (enum layout_role)r, status);
}

static void
read_signal(struct edge *e)
{
	struct signalfd_siginfo info;

	if (read(e->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(e);
	else if (info.ssi_signo != SIGHUP)
		e->stopping = true;
}

static int
start_due(struct edge *e)
{
	int64_t now = clock_boot_ms(), wait = -1;

	for (int r = 0; r < e->n_roles; r++) {
		if (e->roles[r].start_at == 0)
			continue;
		if (e->roles[r].start_at <= now)
			start(e, (enum layout_role)r);
		else if (wait < 0 || e->roles[r].start_at - now < wait)
			wait = e->roles[r].start_at - now;
	}
	return (int)wait;
}

static void
watch(struct edge *e)
{
	while (!e->stopping) {
		struct pollfd p[ROLE_COUNT + 1] = { { .fd = e->signal_fd, .events = POLLIN } };
		int wait = start_due(e);

		for (int r = 0; r < e->n_roles; r++)
			p[r + 1] = (struct pollfd){ .fd = e->roles[r].ready_fd, .events = POLLIN };
		if (poll(p, (nfds_t)e->n_roles + 1, wait) < 0 && errno != EINTR)
			break;
		for (int r = 0; r < e->n_roles; r++)
			if (p[r + 1].revents)
				read_ready(e, (enum layout_role)r);
		if (p[0].revents)
			read_signal(e);
	}
}

/* The gateway first: whoever uses a service ends before it. */
static void
stop(struct edge *e)
{
	e->stopping = true;
	for (int r = e->n_roles - 1; r >= 0; r--) {
		int64_t until = clock_boot_ms() + STOP_MS;

		if (e->roles[r].pid == 0)
			continue;
		kill(e->roles[r].pid, SIGTERM);
		while (e->roles[r].pid != 0) {
			struct pollfd p = { .fd = e->signal_fd, .events = POLLIN };
			int64_t left = until - clock_boot_ms();

			if (left <= 0) {
				log_warn("%s does not end, it is killed", layout_role_name((enum layout_role)r));
				kill(e->roles[r].pid, SIGKILL);
				until = clock_boot_ms() + STOP_MS;
			} else if (poll(&p, 1, (int)left) > 0) {
				read_signal(e);
			}
		}
	}
}

/* What is missing now will be missing each time it is started again. */
static int
check_programs(int n_roles, struct err *err)
{
	for (int r = 0; r < n_roles; r++) {
		OWN_TEXT program = program_of((enum layout_role)r);

		if (access(program, X_OK) < 0)
			return err_errno(
				err, "%s%s", program, r == ROLE_GATEWAY ? " ([gateway] enabled = false does without)" : "");
	}
	return 0;
}

/* One user's roles all read the system's files, /etc among them. */
static void
warn_of_secrets(const struct config *c, const char *config_path)
{
	const char *paths[] = { c->device_key.len > 0 ? config_path : NULL, c->device_key_path, c->identity_pk, c->ca_pk,
		c->issuance.local_ca_pk };

	for (size_t i = 0; i < COUNT(paths); i++)
		if (config_keys_is_file(paths[i]) && sandbox_all_may_read(paths[i]))
			log_warn("%s: without root every role can read what lies there; move it out of the system's folders",
				paths[i]);
}

/* What is wrong without being an error is told at each start. */
static struct config *
load_config(const char *path, struct err *err)
{
	CLEAR(findings) findings = { 0 };
	OWN(config) config = config_load_telling(path, &findings);

	for (size_t i = 0; i < findings.n; i++) {
		OWN_TEXT line = finding_line(&findings.item[i]);

		if (findings.item[i].level == FINDING_WARNING)
			log_warn("%s", line);
		else if (findings.item[i].level == FINDING_ERROR)
			log_error("%s", line);
	}
	if (!config)
		(void)err_set(err, ERR_INVALID, "%s: nothing is started", path);
	return GIVE(config);
}

static int
serve(const struct options *options, struct err *err)
{
	struct edge e = { .options = options };

	e.config = load_config(options->config, err);
	if (!e.config)
		return -1;
	e.n_roles = e.config->has_gateway ? ROLE_COUNT : ROLE_GATEWAY;
	if (check_programs(e.n_roles, err) == 0)
		e.layout = layout_prepare(e.config, options->state, err);
	if (!e.layout) {
		config_free(e.config);
		return -1;
	}
	if (!e.layout->separate_users)
		warn_of_secrets(e.config, options->config);
	if (!e.layout->separate_users)
		log_warn("the roles run as one user (%s)",
			sandbox_separates_files()
				? "no root, or its users can't reach the state folder; Landlock keeps them apart"
				: "no root and no Landlock in this kernel: the gateway is NOT kept from keyd's files");
	else if (!sandbox_separates_files())
		log_warn("no Landlock in this kernel: only their users keep the roles apart");
	for (int r = 0; r < ROLE_COUNT; r++) {
		e.roles[r].ready_fd = -1;
		e.roles[r].ready_line = (struct buf)BUF_INIT(65536);
	}
	sigemptyset(&e.signals);
	sigaddset(&e.signals, SIGCHLD);
	sigaddset(&e.signals, SIGTERM);
	sigaddset(&e.signals, SIGINT);
	sigaddset(&e.signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &e.signals, &e.before);
	e.signal_fd = signalfd(-1, &e.signals, SFD_CLOEXEC);
	start(&e, ROLE_KEYD);
	watch(&e);
	stop(&e);
	close(e.signal_fd);
	for (int r = 0; r < ROLE_COUNT; r++)
		buf_clear(&e.roles[r].ready_line);
	mem_free(e.generation);
	layout_free(e.layout);
	config_free(e.config);
	return 0;
}

int
main(int argc, char **argv)
{
	struct options options = { .config = config_source_default(), .state = "/var/lib/aziot", .service = { .ready_fd = -1 } };
	struct err err = ERR_INIT;
	int status;

	if (option_parse(&usage, &options, argc, argv, &err) != 0) {
		fprintf(stderr, "%s\n", *err.text ? err.text : "rootedge edge: takes options only");
		return 2;
	}
	if (options.reference) {
		config_print_reference(stdout);
		return 0;
	}
	if (options.check) {
		OWN(config) config = config_load(options.config, &err);

		fprintf(config ? stdout : stderr, "%s\n", config ? "the configuration is good" : err.text);
		return config ? 0 : 1;
	}
	service_start("edge", &options.service);
	status = serve(&options, &err);
	if (status < 0)
		log_error("%s", err.text);
	return status < 0 ? 1 : 0;
}
