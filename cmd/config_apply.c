/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge config apply: what config.toml says now becomes what the device does.  Nothing is changed that was not found good first; the supervisor writes the orders of its roles and
 * starts those again that got others. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "config.h"
#include "edge.h"
#include "edge/config_source.h"
#include "edge_box.h"
#include "page.h"
#include "pipe_command.h"
#include "wire/json.h"

struct options {
	const char *config, *state;
	bool quiet;
};

static const struct option_row rows[] = {
	CONFIG_ROW(struct options),
	EDGE_STATE_ROW(struct options),
	{ "quiet", 'q', NULL, "say errors only", OPTION_FLAG, offsetof(struct options, quiet), 0, 0 },
	{ 0 },
};
static const struct option_usage usage = {
	.command = "rootedge config apply",
	.arguments = "",
	.summary = "Check the configuration and have the running edge device take it over.",
	.more = "Only daemons whose orders change are started again; where users, folders or sockets change, all of them.  With an "
		"error nothing is changed.  "
		"Where no device runs there is nothing to do: it starts with what config.toml says then.\n"
		"Exit status: 0 done, 1 not, 2 called wrongly.",
	.rows = rows,
};

/* -- Before --------------------------------------------------------------------------------------------------------------------------- */

static int
check(const struct options *o, struct err *err)
{
	CLEAR(findings) findings = { 0 };

	(void)config_examine(o->config, &findings);
	findings_print(&findings, findings.n_errors > 0 ? stderr : stdout, o->quiet ? FINDING_ERROR : FINDING_WARNING);
	return findings.n_errors == 0 ? 0 : err_set(err, ERR_INVALID, "%s has errors: nothing is changed", o->config);
}

/* The supervisor reads the file that it was started with. */
static int
check_path(const json_t *status, const char *path, struct err *err)
{
	const char *its = json_string_value(json_object_get(status, "config"));
	char *ours = realpath(path, NULL);
	bool same = !its || text_is(its, ours);

	free(ours);
	return same ? 0
		    : err_set(err, ERR_CONFLICT, "the device that runs here has its configuration from %s: --config %s", its, its);
}

/* -- After ---------------------------------------------------------------------------------------------------------------------------- */

static int64_t
restarts_of(const json_t *status, const char *name)
{
	const json_t *role;
	size_t i;

	json_array_foreach(json_object_get(status, "roles"), i, role)
		if (text_is(json_string_value(json_object_get(role, "name")), name))
			return json_integer_value(json_object_get(role, "restarts"));
	return 0;
}

/* Until all that were started again serve. */
static int
wait_for_changed(const struct edge_box *box, const json_t *before, const json_t *changed, struct err *err)
{
	const json_t *name;
	size_t i;

	json_array_foreach(changed, i, name)
		if (edge_restart_wait(box, json_string_value(name), restarts_of(before, json_string_value(name)) + 1, err) < 0)
			return -1;
	return 0;
}

static void
print_changed(const json_t *answer)
{
	const json_t *changed = json_object_get(answer, "changed"), *name;
	bool names = json_is_true(json_object_get(answer, "names"));
	size_t i;

	if (json_array_size(changed) == 0 && !names)
		puts("nothing changes by it");
	json_array_foreach(changed, i, name)
		printf("%s serves with what is new\n", json_string_value(name));
	if (names)
		puts("the gateway's certificate has its new names within seconds");
}

static int
apply(const struct edge_box *box, const struct options *o, struct err *err)
{
	OWN_LIB(json_t) before = edge_box_status(box, err);
	OWN_LIB(json_t) answer = NULL;
	const json_t *changed;

	if (!before || check_path(before, o->config, err) < 0)
		return -1;
	answer = edge_box_ask(box, json_pack("{s:s}", "verb", "apply"), err);
	if (!answer)
		return -1;
	changed = json_object_get(answer, "changed");
	if (!changed && edge_restart_wait(box, NULL, 0, err) < 0)
		return -1;
	if (changed && wait_for_changed(box, before, changed, err) < 0)
		return -1;
	if (changed)
		print_changed(answer);
	else
		puts("users, folders or sockets change by it: all of the device was started anew, and serves");
	return 0;
}

/* -- systemd's units ------------------------------------------------------------------------------------------------------------------ */

/* What rootedge-config.service does, and then no more is started again than has to be. */
static json_t *
prepare_units(const struct options *o, struct err *err)
{
	OWN_TEXT program = cmd_service_path("edge");
	CLEAR(buf) said = BUF_INIT(65536);
	int status = pipe_command(
		(const char *[]){ program, "--prepare", "--config", o->config, "--state", o->state, NULL }, &said, err);

	if (status > 0)
		return err_null(err, ERR_BROKEN, "%s --prepare ended with status %d", program, status);
	return status < 0 ? NULL : json_parse(said.data, said.len, err);
}

static int
apply_to_units(const struct edge_box *box, const struct options *o, struct err *err)
{
	OWN_LIB(json_t) answer = prepare_units(o, err);
	const json_t *name;
	size_t i;

	if (!answer)
		return -1;
	json_array_foreach(json_object_get(answer, "changed"), i, name)
		if (edge_restart_role(box, json_string_value(name), err) < 0)
			return -1;
	print_changed(answer);
	return 0;
}

int
config_apply(int argc, char **argv)
{
	struct options o = { .config = config_source_default(), .state = EDGE_STATE_DEFAULT };
	struct err err = ERR_INIT;
	struct edge_box box;
	int status = page_options(&usage, &o, argc, argv);

	if (status != 0)
		return status;
	if (check(&o, &err) < 0)
		return page_failure(usage.command, &err, 1);
	status = edge_box_find(&box, o.state, &err);
	if (status < 0 && err.kind == ERR_MISSING) {
		printf("the configuration is good; %s\n", err.text);
		return 0;
	}
	if (status == 0)
		status = box.by_systemd ? apply_to_units(&box, &o, &err) : apply(&box, &o, &err);
	return status < 0 ? page_failure(usage.command, &err, 1) : 0;
}
