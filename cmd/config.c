/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge config: the configuration of an edge device, looked at, applied, and taken over from IoT Edge. */
#include "config.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "edge/config.h"
#include "edge/config_check.h"
#include "edge/config_param.h"
#include "edge/config_show.h"
#include "edge/config_source.h"
#include "edge/role_config.h"
#include "page.h"
#include "verbs.h"
#include "wire/json.h"

struct options {
	const char *config, *role, *state;
	bool json, strict, quiet;
};

/* -- Looking at it ------------------------------------------------------------------------------------------------------------------- */

bool
config_examine(const char *path, struct findings *findings)
{
	OWN(toml) root = config_source_load(path, findings);
	OWN(config) config = root ? config_from_toml(root, findings) : NULL;

	if (config)
		config_check_files(config, root, findings);
	return config != NULL;
}

static const struct option_row check_rows[] = {
	CONFIG_ROW(struct options),
	{ "json", 0, NULL, "JSON, for programs", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ "warnings-as-errors", 0, NULL, "end with 1 when there are warnings", OPTION_FLAG, offsetof(struct options, strict), 0,
		0 },
	{ "quiet", 'q', NULL, "say nothing about keys that do nothing here", OPTION_FLAG, offsetof(struct options, quiet), 0, 0 },
	{ 0 },
};
static const struct option_usage check_usage = {
	.command = "rootedge config check",
	.arguments = "",
	.summary = "Say all that is wrong with the configuration, and with the files that it names.",
	.more = "Each mistake comes with its file, line and key.  An error keeps the device from starting or from being trusted; "
		"a warning does not; "
		"a note is a key that does nothing here.  Run it as the user that starts the roles: what root can read, they get.\n"
		"Exit status: 0 good, 1 errors, 2 called wrongly.",
	.rows = check_rows,
};

static void
print_json(const struct findings *f)
{
	OWN_LIB(json_t) json = json_pack("{s:I, s:I, s:o}", "errors", (json_int_t)f->n_errors, "warnings",
		(json_int_t)f->n_warnings, "findings", findings_json(f));

	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
}

static void
print_summary(const char *path, const struct findings *f, bool has_seen_files)
{
	if (f->n_errors + f->n_warnings == 0)
		printf("%s: the configuration is good\n", path);
	else
		printf("%s: %zu error%s, %zu warning%s%s\n", path, f->n_errors, f->n_errors == 1 ? "" : "s", f->n_warnings,
			f->n_warnings == 1 ? "" : "s",
			has_seen_files ? "" : "; the files that it names are looked at when it is right itself");
}

int
config_check(int argc, char **argv)
{
	struct options o = { .config = config_source_default() };
	int status = page_options(&check_usage, &o, argc, argv);
	CLEAR(findings) findings = { 0 };
	bool has_seen_files;

	if (status != 0)
		return status;
	has_seen_files = config_examine(o.config, &findings);
	if (o.json) {
		print_json(&findings);
	} else {
		findings_print(&findings, stdout, o.quiet ? FINDING_WARNING : FINDING_NOTE);
		print_summary(o.config, &findings, has_seen_files);
	}
	return findings.n_errors > 0 || (o.strict && findings.n_warnings > 0) ? 1 : 0;
}

/* -- Showing it ---------------------------------------------------------------------------------------------------------------------- */

static const struct option_row show_rows[] = {
	CONFIG_ROW(struct options),
	{ "json", 0, NULL, "JSON, for programs", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ "role", 'r', "ROLE", "instead, what keyd, certd, identityd or edged is told when the roles have users of their own",
		OPTION_TEXT, offsetof(struct options, role), 0, 0 },
	CONFIG_STATE_ROW(struct options),
	{ 0 },
};
static const struct option_usage show_usage = {
	.command = "rootedge config show",
	.arguments = "",
	.summary = "Print the configuration in effect: each value, given or default, and where it comes from.",
	.more = "Secrets are not shown.  What is printed without --json is TOML.",
	.rows = show_rows,
};

static int
dump(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	putchar('\n');
	return 0;
}

static int
show_role(const struct toml *root, const struct options *o, struct findings *findings)
{
	OWN(config) config = config_from_toml(root, findings);
	OWN(layout) layout = config ? layout_plan(config, o->state, true) : NULL;
	OWN_LIB(json_t) told = NULL;

	if (!config) {
		findings_print(findings, stderr, FINDING_ERROR);
		return 1;
	}
	for (int role = 0; role < ROLE_GATEWAY; role++)
		if (text_is(layout_role_name((enum layout_role)role), o->role))
			told = role_config_make(layout, config, (enum layout_role)role);
	if (told) {
		config_show_hide(told);
		return dump(told);
	}
	fprintf(stderr, "%s: '%s' is none of keyd, certd, identityd and edged\n", show_usage.command, o->role);
	return 2;
}

static int
show_values(const struct toml *root, const struct options *o)
{
	OWN_LIB(json_t) values = config_show_json(root);

	if (o->json)
		return dump(values);
	config_show_print(values, stdout);
	return 0;
}

int
config_show(int argc, char **argv)
{
	struct options o = { .config = config_source_default(), .state = CONFIG_STATE_DEFAULT };
	int status = page_options(&show_usage, &o, argc, argv);
	CLEAR(findings) findings = { 0 };
	OWN(toml) root = status == 0 ? config_source_load(o.config, &findings) : NULL;

	if (status != 0)
		return status;
	if (root)
		return o.role ? show_role(root, &o, &findings) : show_values(root, &o);
	findings_print(&findings, stderr, FINDING_ERROR);
	return 1;
}

/* -- All keys ------------------------------------------------------------------------------------------------------------------------ */

int
config_reference(int argc, char **argv)
{
	static const struct option_row rows[] = { { 0 } };
	static const struct option_usage usage = {
		.command = "rootedge config reference",
		.arguments = "",
		.summary = "Print every key of config.toml, what it means and its default.",
		.rows = rows,
	};
	struct options o = { 0 };
	int status = page_options(&usage, &o, argc, argv);

	if (status == 0)
		config_print_reference(stdout);
	return status;
}

/* -- Verbs --------------------------------------------------------------------------------------------------------------------------- */

static const struct verb {
	const char *name, *help;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "check", "all that is wrong with it, and with the files that it names", config_check },
	{ "show", "what is in effect, and where each value comes from", config_show },
	{ "apply", "checked, and taken over by the device that runs", config_apply },
	{ "import", "take over the configuration of an IoT Edge", config_import },
	{ "mp", "a new one, for a device with this connection string", config_mp },
	{ "reference", "every key, what it means and its default", config_reference },
};

int
cmd_config(int argc, char **argv)
{
	static const struct verb_table table = VERB_TABLE("rootedge config", "The configuration of an edge device.", NULL, verbs);
	int status;
	const struct verb *verb = verb_find(&table, argc, argv, &status);

	return verb ? verb->run(argc - 1, argv + 1) : status;
}
