/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a configuration. */
#include "config_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "edge/config.h"

/* The folder is written into config.toml, which is read from anywhere. */
char *
config_write_secrets_dir(const char *given, const char *config)
{
	const char *slash = strrchr(config, '/');
	OWN_TEXT folder = slash ? mem_textn(config, (size_t)(slash - config)) : mem_text(".");
	OWN_TEXT path = given ? mem_text(given) : mem_textf("%s/secrets", folder);
	char here[4096];

	if (*path == '/' || !getcwd(here, sizeof(here)))
		return GIVE(path);
	return mem_textf("%s/%s", here, path);
}

/* By a run that was broken off. */
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
check_absent(const struct config_import *import, const struct config_target *o, struct err *err)
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
save_secrets(const struct config_import *import, const struct config_target *o, struct err *err)
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
	const char *slash = strrchr(path, '/');
	OWN_TEXT folder = slash && slash > path ? mem_textn(path, (size_t)(slash - path)) : NULL;

	if (folder && file_make_dir(folder, 0755, err) < 0)
		return -1;
	return keep_old(path, err) < 0 ? -1 : file_save(path, text->data, text->len, 0600, err);
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
write_all(const struct config_import *import, const struct buf *text, const struct config_target *o, struct err *err)
{
	if (check_absent(import, o, err) < 0 || save_secrets(import, o, err) < 0 || save_config(text, o->config, err) < 0)
		return -1;
	printf("%s is written%s%s; rootedge config check looks at the files that it names\n", o->config,
		import->n_secrets > 0 ? ", secrets lie in " : "", import->n_secrets > 0 ? o->secrets : "");
	return 0;
}

int
config_write(const struct config_import *made, const struct config_target *o, const char *comment, struct err *err)
{
	struct buf text = BUF_INIT(TOML_MAX);
	int status;

	buf_putf(&text, "# %s\n", comment);
	toml_put(&text, made->root);
	status = text.failed ? err_set(err, ERR_LIMIT, "%s: too large", o->config) : print_check(&text, o->config);
	if (status >= 0 && !o->dry_run && write_all(made, &text, o, err) < 0)
		status = -1;
	buf_wipe(&text);
	return status;
}
