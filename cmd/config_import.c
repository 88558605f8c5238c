/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge config import: the configuration of an IoT Edge that is here, made ours.  Its files stay as they are, unless config.toml itself is the one to be replaced, which --force allows and
 * which leaves the old one beside it. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "config.h"
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
read_all(struct config_import *import, const struct options *o, struct findings *findings)
{
	static const char *const services[] = { "keyd", "certd", "identityd", "tpmd", "edged" };
	OWN_TEXT file = mem_textf("%s/config.toml", o->from);
	OWN_TEXT dir = mem_textf("%s/config.d", o->from);
	struct toml *root = config_source_load_files(file, dir, findings);

	config_import_init(import, root ? root : toml_parse("", 0, file, &(struct err)ERR_INIT), o->secrets);
	for (size_t i = 0; i < COUNT(services); i++)
		(void)read_service(import, services[i], o->from, findings);
	return findings->n_errors == 0 ? 0 : -1;
}

/* -- Writing ------------------------------------------------------------------------------------------------------------------------- */

/* By an import that was broken off. */
static bool
is_saved(const struct import_secret *secret)
{
	struct buf there = BUF_INIT(65536);
	struct err ignored = ERR_INIT;
	bool same = file_load(&there, secret->path, &ignored) == 0 && there.len == secret->bytes.len &&
		    mem_equal_ct(there.data, secret->bytes.data, there.len);

	buf_wipe(&there);
	return same;
}

/* Before anything is written: nothing is replaced that was not meant to be. */
static int
check_absent(const struct config_import *import, const struct options *o, struct err *err)
{
	if (o->force)
		return 0;
	if (file_exists(o->config))
		return err_set(
			err, ERR_CONFLICT, "%s is there already; --force replaces it and keeps it as %s.old", o->config, o->config);
	for (size_t i = 0; i < import->n_secrets; i++)
		if (file_exists(import->secrets[i].path) && !is_saved(&import->secrets[i]))
			return err_set(err, ERR_CONFLICT, "%s is there already; --force replaces it, --secrets puts it elsewhere",
				import->secrets[i].path);
	return 0;
}

static int
save_secrets(const struct config_import *import, const struct options *o, struct err *err)
{
	if (import->n_secrets > 0 && file_make_dir(o->secrets, 0700, err) < 0)
		return -1;
	for (size_t i = 0; i < import->n_secrets; i++)
		if (file_save(import->secrets[i].path, import->secrets[i].bytes.data, import->secrets[i].bytes.len, 0600, err) < 0)
			return -1;
	return 0;
}

/* A link, so that there is a config.toml at every moment; an older .old stays, too. */
static int
keep_old(const char *path, struct err *err)
{
	for (int i = 0; i < 100 && file_exists(path); i++) {
		OWN_TEXT old = i == 0 ? mem_textf("%s.old", path) : mem_textf("%s.old.%d", path, i);

		if (link(path, old) == 0)
			return chmod(old, 0600) < 0 ? err_errno(err, "%s", old) : 0; /* there may be secrets in it */
		if (errno != EEXIST)
			return err_errno(err, "keeping %s as %s", path, old);
	}
	return file_exists(path) ? err_set(err, ERR_CONFLICT, "%s.old is there, and a hundred more", path) : 0;
}

static int
save_config(const struct buf *text, const char *path, struct err *err)
{
	return keep_old(path, err) < 0 ? -1 : file_save(path, text->data, text->len, 0600, err);
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

/* Is what came of it good?  With the lines that it has in its file. */
static int
print_check(const struct buf *text, const char *path)
{
	CLEAR(findings) findings = { 0 };
	struct err err = ERR_INIT;
	OWN(toml) root = toml_parse(buf_text(text), text->len, path, &err);
	OWN(config) config = root ? config_from_toml(root, &findings) : NULL;

	findings_print(&findings, stdout, FINDING_WARNING);
	return config ? 0 : 1;
}

static int
write_all(const struct config_import *import, const struct buf *text, const struct options *o, struct err *err)
{
	if (check_absent(import, o, err) < 0 || save_secrets(import, o, err) < 0 || save_config(text, o->config, err) < 0)
		return -1;
	printf("%s is written%s%s; rootedge config check looks at the files that it names\n", o->config,
		import->n_secrets > 0 ? ", secrets lie in " : "", import->n_secrets > 0 ? o->secrets : "");
	return 0;
}

static int
import_all(const struct options *o, struct err *err)
{
	CLEAR(config_import) import = { 0 };
	CLEAR(findings) findings = { 0 };
	struct buf text = BUF_INIT(TOML_MAX);
	int status;

	if (read_all(&import, o, &findings) < 0) {
		findings_print(&findings, stderr, FINDING_ERROR);
		return err_set(err, ERR_INVALID, "nothing is written");
	}
	if (config_import_finish(&import, err) < 0)
		return -1;
	print_lines(&import);
	buf_putf(&text, "# Taken over from %s by rootedge config import.\n", o->from);
	toml_put(&text, import.root);
	status = text.failed ? err_set(err, ERR_LIMIT, "%s: too large", o->config) : print_check(&text, o->config);
	if (status >= 0 && !o->dry_run && write_all(&import, &text, o, err) < 0)
		status = -1;
	buf_wipe(&text);
	return status;
}

/* The folder is written into config.toml, which is read from anywhere. */
static char *
whole_path(const char *given, const char *config)
{
	const char *slash = strrchr(config, '/');
	OWN_TEXT folder = slash ? mem_textn(config, (size_t)(slash - config)) : mem_text(".");
	OWN_TEXT path = given ? mem_text(given) : mem_textf("%s/secrets", folder);
	char here[4096];

	if (*path == '/' || !getcwd(here, sizeof(here)))
		return GIVE(path);
	return mem_textf("%s/%s", here, path);
}

int
config_import(int argc, char **argv)
{
	struct options o = { .config = config_source_default(), .from = "/etc/aziot" };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err), status;
	OWN_TEXT secrets = NULL;

	if (n > 0)
		(void)err_set(&err, ERR_INVALID, "takes options only, found '%s'", argv[0]);
	if (n != 0)
		return page_failure(usage.command, &err, 2);
	secrets = whole_path(o.secrets, o.config);
	o.secrets = secrets;
	status = import_all(&o, &err);
	return status < 0 ? page_failure(usage.command, &err, 1) : status;
}
