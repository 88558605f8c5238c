/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-edge: config.toml is read and made a state folder (layout.h), on which keyd, certd, identityd, edged and the gateway run (supervisor.h). */
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/option.h"
#include "common/executable.h"
#include "common/service.h"
#include "edge/config_param.h"
#include "edge/config_source.h"
#include "edge/role_args.h"
#include "edge/sandbox.h"
#include "edge/supervisor.h"
#include "wire/json.h"

struct options {
	const char *config, *state;
	bool check, reference, prepare, tell_programs;
	struct service_options service;
};

static const struct option_row rows[] = {
	{ "config", 'c', "FILE", "config.toml ($ROOTEDGE_CONFIG, /etc/aziot/config.toml)", OPTION_TEXT,
		offsetof(struct options, config), 0, 0 },
	{ "state", 's', "DIR", "the state folder (/var/lib/aziot)", OPTION_TEXT, offsetof(struct options, state), 0, 0 },
	{ "check", 0, NULL, "check the configuration and end", OPTION_FLAG, offsetof(struct options, check), 0, 0 },
	{ "config-reference", 0, NULL, "print every key of config.toml and end", OPTION_FLAG, offsetof(struct options, reference),
		0, 0 },
	{ "prepare", 0, NULL, "write what systemd's units need (STATE/config) and end", OPTION_FLAG,
		offsetof(struct options, prepare), 0, 0 },
	{ "tell-programs", 0, NULL,
		"tell edged which program a process runs (systemd's unit rootedge-programs), and end when nobody asks", OPTION_FLAG,
		offsetof(struct options, tell_programs), 0, 0 },
	SERVICE_OPTION_ROWS(struct options, service),
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge edge",
	.arguments = "",
	.summary = "An edge device: keys, certificates, identity, workload API and gateway, started and watched.",
	.rows = rows,
};

/* What is missing now will be missing each time it is started again. */
static int
check_programs(int n_roles, struct err *err)
{
	for (int r = 0; r < n_roles; r++) {
		OWN_TEXT program = role_args_program((enum layout_role)r);

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

/* What is wrong without being an error is told at each start; the first error is the failure, the others are told before it. */
static struct config *
load_config(const char *path, struct err *err)
{
	CLEAR(findings) findings = { 0 };
	OWN(config) config = config_load_telling(path, &findings);

	for (size_t i = 0; i < findings.n; i++) {
		OWN_TEXT line = finding_line(&findings.item[i]);

		if (findings.item[i].level == FINDING_WARNING)
			log_warn("%s", line);
		else if (findings.item[i].level == FINDING_ERROR && err->kind == ERR_NONE)
			(void)err_set(err, ERR_INVALID, "%s", line);
		else if (findings.item[i].level == FINDING_ERROR)
			log_error("%s", line);
	}
	if (!config && err->kind == ERR_NONE)
		(void)err_set(err, ERR_INVALID, "%s is not good: rootedge config check says why", path);
	return GIVE(config);
}

static struct config *
load_again(void *arg, struct err *err)
{
	const struct options *options = arg;

	return load_config(options->config, err);
}

static void
say_what_keeps_them_apart(const struct layout *l)
{
	if (l->separate_users && !sandbox_separates_files())
		log_warn("no Landlock in this kernel: only their users keep the roles apart");
	if (l->separate_users)
		return;
	log_warn("the roles run as one user (%s)",
		sandbox_separates_files() ? "no root, or its users can't reach the state folder; Landlock keeps them apart"
					  : "no root and no Landlock in this kernel: the gateway is NOT kept from keyd's files");
}

/* The exit status, or -1: everything is started anew. */
static int
serve(struct options *options)
{
	struct err err = ERR_INIT;
	OWN(config) config = load_config(options->config, &err);
	OWN(layout) layout = NULL;
	OWN_TEXT path = realpath(options->config, NULL);
	struct supervisor_config supervisor = { .service = &options->service, .load = load_again, .arg = options };
	enum supervisor_end end = SUPERVISOR_FAILED;
	int status = config ? SERVICE_FAILED : SERVICE_BAD_SETTINGS;

	if (config && check_programs(layout_n_roles(config), &err) == 0)
		layout = layout_prepare(config, options->state, &err);
	if (layout) {
		if (!layout->separate_users)
			warn_of_secrets(config, options->config);
		say_what_keeps_them_apart(layout);
		supervisor.path = path;
		supervisor.config = config;
		supervisor.layout = layout;
		end = supervisor_run(&supervisor, &err);
	}
	if (end == SUPERVISOR_FAILED)
		log_error("%s", err.text);
	options->service.ready_fd = -1;
	return end == SUPERVISOR_TO_START_ANEW ? -1 : end == SUPERVISOR_STOPPED ? 0 : status;
}

/* On standard output: what is others than before, as the supervisor answers "apply". */
static int
prepare(const struct options *options)
{
	struct err err = ERR_INIT;
	OWN(config) config = load_config(options->config, &err);
	struct layout_news news = { 0 };
	OWN(layout) layout = config ? layout_prepare_for_units(config, options->state, &news, &err) : NULL;
	OWN_LIB(json_t) names = json_array();

	for (int role = 0; role < ROLE_COUNT; role++)
		if (news.role[role])
			json_array_append_new(names, json_string(layout_role_name((enum layout_role)role)));
	if (layout) {
		OWN_LIB(json_t) answer = json_pack("{s:O, s:b}", "changed", names, "names", news.names);
		OWN_TEXT line = json_line(answer);

		puts(line);
		return 0;
	}
	log_error("%s", err.text);
	return config ? SERVICE_FAILED : SERVICE_BAD_SETTINGS;
}

static int
tell_programs(void)
{
	struct err err = ERR_INIT;

	if (executable_serve(STDIN_FILENO, &err) == 0)
		return 0;
	log_error("%s", err.text);
	return SERVICE_FAILED;
}

int
main(int argc, char **argv)
{
	struct options options = {
		.config = config_source_default(), .state = "/var/lib/aziot", .service = { .ready_fd = -1, .runs_programs = true }
	};
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
	options.service.runs_programs = !options.tell_programs;
	service_start(options.tell_programs ? "programs" : "edge", &options.service);
	if (options.tell_programs)
		return tell_programs();
	if (options.prepare)
		return prepare(&options);
	do
		status = serve(&options);
	while (status < 0);
	return status;
}
