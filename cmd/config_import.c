/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge config import: the configuration of an IoT Edge that is here, made ours.  Its files stay as they are, unless config.toml itself is the one to be replaced, which --force allows and
 * which leaves the old one beside it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "config.h"
#include "config_write.h"
#include "edge/config.h"
#include "edge/config_import.h"
#include "edge/config_source.h"
#include "page.h"

struct options {
	const char *config, *from, *secrets;
	bool force, dry_run;
};

static const struct option_row rows[] = {
	{ "from", 'f', "DIR", "where IoT Edge has its configuration (/etc/aziot)", OPTION_TEXT, offsetof(struct options, from), 0,
		0 },
	{ "config", 'c', "FILE", "write this config.toml ($ROOTEDGE_CONFIG, /etc/aziot/config.toml)", OPTION_TEXT,
		offsetof(struct options, config), 0, 0 },
	{ "secrets", 's', "DIR", "put secrets in files here (the folder secrets beside FILE)", OPTION_TEXT,
		offsetof(struct options, secrets), 0, 0 },
	{ "force", 0, NULL, "replace FILE and secrets that are there; the old FILE stays as FILE.old", OPTION_FLAG,
		offsetof(struct options, force), 0, 0 },
	{ "dry-run", 'n', NULL, "say what would become of it, and write nothing", OPTION_FLAG, offsetof(struct options, dry_run), 0,
		0 },
	{ 0 },
};
static const struct option_usage usage = {
	.command = "rootedge config import",
	.arguments = "",
	.summary = "Take over the configuration of an IoT Edge: config.toml with config.d, and what its services have in files of "
		   "their own.",
	.more = "References to keys and certificates stay as they are.  Secrets that stand in the text (a connection string, a "
		"symmetric key, PINs) "
		"become files that only their owner reads.  What is kept, changed or has no meaning here is said key by key.  "
		"AZIOT_KEYD_CONFIG, AZIOT_KEYD_CONFIG_DIR and so on name the files of a service where they are elsewhere.\n"
		"Exit status: 0 done, 1 not done, or done and something is to be put right first, 2 called wrongly.",
	.rows = rows,
};

/* -- Reading ------------------------------------------------------------------------------------------------------------------------- */

/* AZIOT_KEYD_CONFIG_DIR and the like, or the place that it has by itself; the caller owns it. */
static char *
place_of(const char *service, const char *suffix, const char *from, const char *below)
{
	OWN_TEXT name = mem_textf("AZIOT_%s_%s", service, suffix);
	const char *given;

	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	given = getenv(name);
	return given && *given ? mem_text(given) : mem_textf("%s/%s/%s", from, service, below);
}

/* 00-super.toml was made from config.toml. */
static int
read_service(struct config_import *import, const char *service, const char *from, struct findings *findings)
{
	OWN_TEXT file = place_of(service, "CONFIG", from, "config.toml");
	OWN_TEXT dir = place_of(service, "CONFIG_DIR", from, "config.d");
	char *names[CONFIG_FILES_MAX];
	size_t errors = findings->n_errors, n = config_source_list(dir, names, findings);
	OWN(toml) all = file_exists(file) ? config_source_load_files(file, "/nonexistent", findings) : NULL;

	if (all)
		config_import_service(import, service, all);
	for (size_t i = 0; i < n; i++) {
		OWN_TEXT path = file_join(dir, names[i]);
		OWN(toml) one =
			text_is(names[i], "00-super.toml") ? NULL : config_source_load_files(path, "/nonexistent", findings);

		if (one)
			config_import_service(import, service, one);
		mem_free(names[i]);
	}
	return findings->n_errors == errors ? 0 : -1;
}

static int
read_all(struct config_import *import, const char *from, const char *secrets, struct findings *findings)
{
	static const char *const services[] = { "keyd", "certd", "identityd", "tpmd", "edged" };
	OWN_TEXT file = mem_textf("%s/config.toml", from);
	OWN_TEXT dir = mem_textf("%s/config.d", from);
	struct toml *root = config_source_load_files(file, dir, findings);

	config_import_init(import, root ? root : toml_parse("", 0, file, &(struct err)ERR_INIT), secrets);
	for (size_t i = 0; i < COUNT(services); i++)
		(void)read_service(import, services[i], from, findings);
	return findings->n_errors == 0 ? 0 : -1;
}

/* -- Telling ------------------------------------------------------------------------------------------------------------------------- */

static void
print_lines(const struct config_import *import)
{
	static const char *const names[] = { "kept", "changed", "left out" };

	for (size_t i = 0; i < import->n_lines; i++) {
		const struct import_line *line = &import->lines[i];

		printf("%-9s %s%s%s\n", names[line->what], line->key, *line->text && line->what != IMPORT_KEPT ? ": " : "",
			line->what == IMPORT_KEPT ? "" : line->text);
	}
}

static int
import_all(const struct config_target *target, const char *from, struct err *err)
{
	CLEAR(config_import) import = { 0 };
	CLEAR(findings) findings = { 0 };
	OWN_TEXT comment = mem_textf("Taken over from %s by rootedge config import.", from);

	if (read_all(&import, from, target->secrets, &findings) < 0) {
		findings_print(&findings, stderr, FINDING_ERROR);
		return err_set(err, ERR_INVALID, "nothing is written");
	}
	if (config_import_finish(&import, err) < 0)
		return -1;
	print_lines(&import);
	return config_write(&import, target, comment, err);
}

int
config_import(int argc, char **argv)
{
	struct options o = { .config = config_source_default(), .from = "/etc/aziot" };
	struct err err = ERR_INIT;
	int status = page_options(&usage, &o, argc, argv);
	OWN_TEXT secrets = NULL;

	if (status != 0)
		return status;
	secrets = config_write_secrets_dir(o.secrets, o.config);
	status = import_all(
		&(struct config_target){ .config = o.config, .secrets = secrets, .force = o.force, .dry_run = o.dry_run }, o.from,
		&err);
	return status < 0 ? page_failure(usage.command, &err, 1) : status;
}
