/* SPDX-License-Identifier: Apache-2.0 */
/* Files and environment as one document. */
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "edge/config_param.h"
#include "edge/config_source.h"

#define PREFIX "ROOTEDGE_SET_"
#define NAME_MAX_LEN 200
#define VALUE_MAX 65536
#define CONFIG_VARIABLES_MAX 512

const char *
config_source_default(void)
{
	const char *given = getenv("ROOTEDGE_CONFIG");

	return given && *given ? given : "/etc/aziot/config.toml";
}

char *
config_source_dir(const char *path)
{
	const char *given = getenv("ROOTEDGE_CONFIG_DIR"), *slash = strrchr(path, '/');
	OWN_TEXT folder = slash ? mem_textn(path, (size_t)(slash - path)) : mem_text(".");

	return given && *given ? mem_text(given) : mem_textf("%s/config.d", folder);
}

/* -- Files ---------------------------------------------------------------------------------------------------------------------------------- */

/* "FILE:12: sentence" by its parts. */
static void
tell(struct findings *findings, const char *path, const char *sentence)
{
	size_t n = strlen(path);
	bool names_it = strncmp(sentence, path, n) == 0 && sentence[n] == ':';
	const char *rest = names_it ? sentence + n + 1 : sentence, *colon = strchr(rest, ':');
	OWN_TEXT digits = names_it && colon ? mem_textn(rest, (size_t)(colon - rest)) : NULL;
	int64_t line = 0;

	if (digits && text_to_i64(digits, 1, INT32_MAX, &line))
		rest = colon + 1;
	findings_add(findings, FINDING_ERROR, path, (int)line, NULL, "%s", rest + (*rest == ' '));
}

/* Whoever may write to it decides what the roles do, and which keys they use. */
static int
check_writers(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, "%s", path);
	if (S_ISREG(st.st_mode) && (st.st_mode & S_IWOTH))
		return err_set(err, ERR_INVALID, "%s: everybody may write to it (chmod o-w)", path);
	return 0;
}

static struct toml *
load_file(const char *path, struct findings *findings)
{
	struct buf text = BUF_INIT(TOML_MAX);
	struct err err = ERR_INIT;
	struct toml *root = NULL;

	if (check_writers(path, &err) == 0 && file_load(&text, path, &err) == 0)
		root = toml_parse(buf_text(&text), text.len, path, &err);
	buf_wipe(&text);
	if (!root)
		tell(findings, path, err.text);
	return root;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

size_t
config_source_list(const char *dir, char *names[static CONFIG_FILES_MAX], struct findings *findings)
{
	DIR *folder = opendir(dir);
	struct dirent *entry;
	size_t n = 0;

	if (!folder) {
		if (errno != ENOENT && errno != ENOTDIR)
			findings_add(findings, FINDING_ERROR, dir, 0, NULL, "%s", strerror(errno));
		return 0;
	}
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.' || !text_ends(entry->d_name, ".toml"))
			continue;
		if (n == CONFIG_FILES_MAX) {
			findings_add(findings, FINDING_ERROR, dir, 0, NULL, "more than %d files", CONFIG_FILES_MAX);
			break;
		}
		names[n++] = mem_text(entry->d_name);
	}
	closedir(folder);
	qsort(names, n, sizeof(*names), by_name);
	return n;
}

static void
merge_dir(struct toml *root, const char *dir, struct findings *findings)
{
	char *names[CONFIG_FILES_MAX];
	size_t n = config_source_list(dir, names, findings);

	for (size_t i = 0; i < n; i++) {
		OWN_TEXT path = file_join(dir, names[i]);
		OWN(toml) more = load_file(path, findings);

		if (more)
			toml_merge(root, more);
		mem_free(names[i]);
	}
}

/* -- Environment ------------------------------------------------------------------------------------------------------------------------------ */

/* PROVISIONING__DEVICE_ID: the row of provisioning.device_id, and that path. */
static const struct config_param *
find_param(const char *name, char path[static NAME_MAX_LEN])
{
	const struct config_param *param;
	size_t n = 0;

	for (const char *c = name; *c && n + 1 < NAME_MAX_LEN; c++) {
		bool separates = c[0] == '_' && c[1] == '_';

		path[n++] = separates ? '.' : (char)tolower((unsigned char)*c);
		c += separates;
	}
	path[n] = '\0';
	for (size_t i = 0; (param = config_param_at(i)); i++) {
		OWN_TEXT whole = mem_textf("%s%s%s", param->table, *param->table ? "." : "", param->key);

		if (text_is(whole, path))
			return param;
	}
	return NULL;
}

/* As TOML has a text. */
static void
put_quoted(struct buf *out, const char *text)
{
	buf_putc(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_putf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			buf_putf(out, "\\u%04X", (unsigned)(unsigned char)*text);
		else
			buf_putc(out, *text);
	}
	buf_putc(out, '"');
}

static bool
is_written_bare(const struct config_param *param)
{
	switch (param->kind) {
	case KIND_BOOL:
	case KIND_INT:
	case KIND_FILES:
	case KIND_HOSTS:
	case KIND_TEXTS:
		return true;
	default:
		return false;
	}
}

static bool
is_for_environment(const struct config_param *param)
{
	switch (param->kind) {
	case KIND_ANY:
	case KIND_IDS:
	case KIND_TABLE:
	case KIND_TABLES:
		return false;
	default:
		return !strchr(param->table, '*') && !text_is(param->key, "*");
	}
}

/* It has no line. */
static void
forget_lines(struct toml *t)
{
	t->line = 0;
	for (size_t i = 0; i < t->n; i++)
		forget_lines(t->item[i]);
}

static struct toml *
parse_variable(const char *variable, const char *path, const struct config_param *param, const char *value, struct err *err)
{
	struct buf text = BUF_INIT(VALUE_MAX);
	struct toml *root = NULL;

	buf_putf(&text, "%s = ", path);
	if (!is_written_bare(param))
		put_quoted(&text, value);
	else if (!strchr(value, '\n'))
		buf_puts(&text, value);
	if (text.failed)
		(void)err_set(err, ERR_LIMIT, "%s: too long", variable);
	else
		root = toml_parse(buf_text(&text), text.len, variable, err);
	if (root)
		forget_lines(root);
	buf_wipe(&text);
	return root;
}

static void
tell_variable(struct findings *findings, const char *variable, const struct config_param *param, const char *path)
{
	char *names[CONFIG_VARIABLES_MAX];
	const struct config_param *row;
	const char *near;
	size_t n = 0;

	for (size_t i = 0; (row = config_param_at(i)) && n < COUNT(names); i++)
		if (is_for_environment(row))
			names[n++] = mem_textf("%s%s%s", row->table, *row->table ? "." : "", row->key);
	near = text_nearest(path, (const char *const *)names, n);
	if (param)
		findings_add(
			findings, FINDING_ERROR, variable, 0, NULL, "only single values and lists can stand in the environment");
	else
		findings_add(findings, FINDING_ERROR, variable, 0, NULL, "there is no key %s%s%s%s", path,
			near ? ", did you mean `" : "", near ? near : "", near ? "`?" : "");
	for (size_t i = 0; i < n; i++)
		mem_free(names[i]);
}

static void
merge_variable(struct toml *root, const char *entry, struct findings *findings)
{
	const char *equals = strchr(entry, '=');
	OWN_TEXT variable = equals ? mem_textn(entry, (size_t)(equals - entry)) : NULL;
	char path[NAME_MAX_LEN];
	const struct config_param *param = variable ? find_param(variable + strlen(PREFIX), path) : NULL;
	struct err err = ERR_INIT;
	OWN(toml) one = NULL;

	if (!variable)
		return;
	if (!param || !is_for_environment(param)) {
		tell_variable(findings, variable, param, path);
		return;
	}
	one = parse_variable(variable, path, param, equals + 1, &err);
	if (one)
		toml_merge(root, one);
	else
		findings_add(findings, FINDING_ERROR, variable, 0, NULL, "not what %s can be", path);
}

static void
merge_environment(struct toml *root, struct findings *findings)
{
	for (char **entry = environ; *entry; entry++)
		if (text_starts(*entry, PREFIX))
			merge_variable(root, *entry, findings);
}

void
config_source_clear_environment(void)
{
	for (size_t i = 0; environ[i];) {
		const char *equals = strchr(environ[i], '=');
		OWN_TEXT name =
			equals && text_starts(environ[i], PREFIX) ? mem_textn(environ[i], (size_t)(equals - environ[i])) : NULL;

		if (!name || unsetenv(name) < 0) /* what follows moves up */
			i++;
	}
}

/* -- All of it -------------------------------------------------------------------------------------------------------------------------------- */

struct toml *
config_source_load_files(const char *path, const char *dir, struct findings *findings)
{
	size_t errors = findings->n_errors;
	OWN(toml) root = path ? load_file(path, findings) : NULL;

	if (!root)
		root = toml_parse("", 0, path ? path : dir, &(struct err)ERR_INIT); /* what the others have wrong is told too */
	merge_dir(root, dir, findings);
	return findings->n_errors == errors ? GIVE(root) : NULL;
}

struct toml *
config_source_load(const char *path, struct findings *findings)
{
	size_t errors = findings->n_errors;
	OWN_TEXT dir = config_source_dir(path);
	OWN(toml) root = config_source_load_files(path, dir, findings);

	if (!root)
		root = toml_parse("", 0, path, &(struct err)ERR_INIT);
	merge_environment(root, findings);
	return findings->n_errors == errors ? GIVE(root) : NULL;
}
