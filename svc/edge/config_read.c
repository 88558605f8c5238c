/* SPDX-License-Identifier: Apache-2.0 */
/* Reading config.toml by the table of parameters.  One function a kind of value says what is wrong with a value; nobody else looks at types. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "common/renewal.h"
#include "edge/config_keys.h"
#include "edge/config_read.h"
#include "pki/issue.h"
#include "wire/uri.h"

#define LIST_MAX 256

/* -- Places ------------------------------------------------------------------------------------------------------------------------------- */

static void
set_path(struct config_at *at, const char *above, const char *key)
{
	snprintf(at->path, sizeof(at->path), "%.*s%s%.*s", CONFIG_PATH_MAX / 2 - 1, above, *above ? "." : "",
		CONFIG_PATH_MAX / 2 - 2, key);
}

struct config_at
config_read_root(const struct toml *root, struct findings *findings)
{
	return (struct config_at){ .table = root, .root = root, .params = "", .findings = findings };
}

/* The name that the table of parameters has for what lies below; the rows' own strings, so they last. */
static const char *
params_below(const struct config_param *param)
{
	const char *table = param->table, *key = param->key;
	const struct config_param *row;

	for (size_t i = 0; (row = config_param_at(i)); i++) {
		size_t n = strlen(table);

		if (n == 0 ? text_is(row->table, key)
			   : strncmp(row->table, table, n) == 0 && row->table[n] == '.' && text_is(row->table + n + 1, key))
			return row->table;
	}
	return param->like ? param->like : "-"; /* no rows of its own */
}

static struct config_at
below(const struct config_at *at, const struct config_param *param, const struct toml *value, const char *key)
{
	struct config_at in = {
		.table = value && value->type == TOML_TABLE ? value : NULL, .root = at->root, .findings = at->findings
	};

	in.params = params_below(param);
	in.like = param->like;
	set_path(&in, at->path, key);
	return in;
}

/* -- What is wrong with a value ------------------------------------------------------------------------------------------------------------- */

struct value {
	const struct toml *toml;
	const struct config_param *param;
	char *why; /* NULL: nothing */
};

static void
expected(struct value *v, const char *what)
{
	v->why = mem_textf("expected %s, found %s", what, toml_type_name(v->toml->type));
}

static bool
is_text(struct value *v, const struct toml *toml, const char *what)
{
	if (toml->type != TOML_STRING)
		v->why = mem_textf("expected %s, found %s", what, toml_type_name(toml->type));
	else if (strlen(toml->text) != toml->text_len)
		v->why = mem_text("the text holds a NUL character");
	return !v->why;
}

static void
check_file_text(struct value *v, const struct toml *toml)
{
	struct err why = ERR_INIT;
	OWN_TEXT path = is_text(v, toml, "a file URI") ? uri_file_path(toml->text, &why) : NULL;

	if (!path && !v->why)
		v->why = mem_text(why.text);
}

static void
check_host_text(struct value *v, const struct toml *toml)
{
	struct err why = ERR_INIT;

	if (is_text(v, toml, "a name or an address") && issue_check_server_name(toml->text, &why) < 0)
		v->why = mem_text(why.text);
}

static void
check_plain_text(struct value *v, const struct toml *toml)
{
	if (is_text(v, toml, "a text") && text_has_control(toml->text, toml->text_len))
		v->why = mem_text("the text holds a control character");
}

static void
check_list(struct value *v, void (*check)(struct value *, const struct toml *))
{
	if (v->toml->type != TOML_ARRAY) {
		expected(v, "a list");
		return;
	}
	if (v->toml->n > LIST_MAX)
		v->why = mem_textf("more than %d values", LIST_MAX);
	for (size_t i = 0; !v->why && i < v->toml->n; i++)
		check(v, v->toml->item[i]);
}

static void
check_alias(struct value *v)
{
	check_host_text(v, v->toml);
}

static void
check_any(struct value *v)
{
	(void)v;
}

static void
check_bool(struct value *v)
{
	if (v->toml->type != TOML_BOOLEAN)
		expected(v, "true or false");
}

static void
check_file(struct value *v)
{
	check_file_text(v, v->toml);
}

static void
check_files(struct value *v)
{
	check_list(v, check_file_text);
}

static void
check_file_or_ids(struct value *v)
{
	if (v->toml->type == TOML_ARRAY)
		check_list(v, check_plain_text);
	else
		check_file(v);
}

static void
check_file_or_issued(struct value *v)
{
	if (v->toml->type != TOML_TABLE)
		check_file(v);
}

static void
check_host(struct value *v)
{
	check_host_text(v, v->toml);
}

static void
check_hosts(struct value *v)
{
	check_list(v, check_host_text);
}

static void
check_url(struct value *v)
{
	struct err why = ERR_INIT;
	OWN(uri) uri = is_text(v, v->toml, "an https:// URL") ? uri_parse(v->toml->text, &why) : NULL;

	if (v->why)
		return;
	if (!uri)
		v->why = mem_text(why.text);
	else if (uri->scheme != URI_HTTPS)
		v->why = mem_text("it is asked over https:// only");
}

/* The place of EST's operations: nothing is behind the path. */
static void
check_https(struct value *v)
{
	check_url(v);
	if (!v->why && strchr(v->toml->text, '?'))
		v->why = mem_text("the URL of an EST server has no question mark");
}

static void
check_int(struct value *v)
{
	if (v->toml->type != TOML_INTEGER)
		expected(v, "a whole number");
	else if (v->toml->integer < v->param->min || v->toml->integer > v->param->max)
		v->why = mem_textf(
			"%" PRId64 " is not between %" PRId64 " and %" PRId64, v->toml->integer, v->param->min, v->param->max);
}

static void
check_key(struct value *v)
{
	struct err why = ERR_INIT;
	OWN_TEXT place = is_text(v, v->toml, "where a key lies") ? config_keys_place(v->toml->text, &why) : NULL;

	if (!place && !v->why)
		v->why = mem_text(why.text);
}

static void
check_span(struct value *v)
{
	struct renewal_span span;
	struct err why = ERR_INIT;

	if (is_text(v, v->toml, "a text (\"80%\", \"10day\")") && renewal_span_parse(&span, v->toml->text, &why) < 0)
		v->why = mem_text(why.text);
}

static void
check_table(struct value *v)
{
	if (v->toml->type != TOML_TABLE)
		expected(v, "a table");
}

static void
check_tables(struct value *v)
{
	if (v->toml->type != TOML_ARRAY)
		expected(v, "tables, each under its own [[heading]]");
	for (size_t i = 0; !v->why && i < v->toml->n; i++)
		if (v->toml->item[i]->type != TOML_TABLE)
			v->why = mem_textf("expected tables, found %s", toml_type_name(v->toml->item[i]->type));
}

static void
check_text(struct value *v)
{
	check_plain_text(v, v->toml);
}

static void
check_texts(struct value *v)
{
	check_list(v, check_plain_text);
}

/* "x509, sas or tpm" */
static char *
words_for_people(const char *words)
{
	OWN_TEXT text = mem_text(words);
	char *last = strrchr(text, '|');
	struct slice rest, one;
	CLEAR(buf) out = BUF_INIT(1024);
	bool more = true;

	if (last)
		*last = '\0';
	rest = slice_of(text);
	while (more) {
		more = slice_cut(&rest, '|', &one);
		buf_putf(&out, "%.*s%s", (int)one.len, one.text, more ? ", " : "");
	}
	if (last)
		buf_putf(&out, " or %s", last + 1);
	return buf_take_text(&out);
}

static void
check_word(struct value *v)
{
	OWN_TEXT words = words_for_people(v->param->words);

	if (!is_text(v, v->toml, words))
		return;
	if (!config_word_is_in(v->param->words, v->toml->text))
		v->why = mem_textf("%s, not '%.60s'", words, v->toml->text);
}

static void (*const checks[])(struct value *) = {
	[KIND_ALIAS] = check_alias,
	[KIND_ANY] = check_any,
	[KIND_BOOL] = check_bool,
	[KIND_FILE] = check_file,
	[KIND_FILES] = check_files,
	[KIND_FILE_OR_IDS] = check_file_or_ids,
	[KIND_FILE_OR_ISSUED] = check_file_or_issued,
	[KIND_HOST] = check_host,
	[KIND_HOSTS] = check_hosts,
	[KIND_HTTPS] = check_https,
	[KIND_IDS] = check_table,
	[KIND_INT] = check_int,
	[KIND_KEY] = check_key,
	[KIND_SECRET] = check_text,
	[KIND_SPAN] = check_span,
	[KIND_TABLE] = check_table,
	[KIND_TABLES] = check_tables,
	[KIND_TEXT] = check_text,
	[KIND_TEXTS] = check_texts,
	[KIND_URL] = check_url,
	[KIND_WORD] = check_word,
};

/* NULL: it is good.  The caller owns the sentence. */
static char *
find_fault(const struct toml *toml, const struct config_param *param)
{
	struct value v = { .toml = toml, .param = param };

	checks[param->kind](&v);
	return v.why;
}

/* -- All keys ----------------------------------------------------------------------------------------------------------------------------- */

static void
tell_unknown(const struct config_at *at, const struct toml *value)
{
	const char *known[CONFIG_PARAMS_MAX];
	const char *near = text_nearest(value->key, known, config_param_keys(at->params, at->like, known, COUNT(known)));
	struct config_at in = *at;

	set_path(&in, at->path, value->key);
	findings_add(at->findings, FINDING_ERROR, value->file, value->line, in.path, "unknown key%s%s%s",
		near ? ", did you mean `" : "", near ? near : "", near ? "`?" : "");
}

static void
tell_standing(const struct config_at *at, const struct toml *value, const struct config_param *param)
{
	struct config_at in = *at;

	set_path(&in, at->path, value->key);
	if (param->standing == PARAM_IDLES)
		findings_add(at->findings, FINDING_NOTE, value->file, value->line, in.path, "does nothing here: %s", param->help);
	else if (param->standing == PARAM_COMES)
		findings_add(
			at->findings, FINDING_WARNING, value->file, value->line, in.path, "not supported yet: it is not heeded");
	else if (param->standing == PARAM_IS_REFUSED)
		findings_add(at->findings, FINDING_ERROR, value->file, value->line, in.path, "not supported yet");
}

static void check_all(const struct config_at *at);

static void
check_one(const struct config_at *at, const struct toml *value)
{
	const struct config_param *param = config_param_find(at->params, at->like, value->key);
	OWN_TEXT why = param ? find_fault(value, param) : NULL;
	struct config_at in;

	if (!param) {
		tell_unknown(at, value);
		return;
	}
	in = below(at, param, value, value->key);
	if (why)
		findings_add(at->findings, FINDING_ERROR, value->file, value->line, in.path, "%s", why);
	else
		tell_standing(at, value, param);
	if (param->kind == KIND_ANY)
		return;
	if (in.table)
		check_all(&in);
	for (size_t i = 0; param->kind == KIND_TABLES && value->type == TOML_ARRAY && i < value->n; i++) {
		in.table = value->item[i]->type == TOML_TABLE ? value->item[i] : NULL;
		if (in.table)
			check_all(&in);
	}
}

static void
check_all(const struct config_at *at)
{
	for (size_t i = 0; i < at->table->n; i++)
		check_one(at, at->table->item[i]);
}

void
config_read_check(const struct toml *root, struct findings *findings)
{
	struct config_at at = config_read_root(root, findings);

	check_all(&at);
}

/* -- Taking values ------------------------------------------------------------------------------------------------------------------------ */

static const struct config_param *
param_of(const struct config_at *at, const char *key)
{
	return config_param_find(at->params, at->like, key);
}

/* What is there, and good. */
static const struct toml *
good(const struct config_at *at, const char *key)
{
	const struct toml *value = at->table ? toml_find(at->table, key) : NULL;
	OWN_TEXT why = value ? find_fault(value, param_of(at, key)) : NULL;

	return why ? NULL : value;
}

bool
config_has(const struct config_at *at, const char *key)
{
	return at->table && toml_find(at->table, key);
}

bool
config_is_text(const struct config_at *at, const char *key)
{
	const struct toml *value = at->table ? toml_find(at->table, key) : NULL;

	return value && value->type == TOML_STRING;
}

struct config_at
config_table(const struct config_at *at, const char *key)
{
	return below(at, param_of(at, key), good(at, key), key);
}

struct config_at
config_entry(const struct config_at *at, size_t i)
{
	const struct toml *value = at->table->item[i];

	return below(at, param_of(at, value->key), value, value->key);
}

struct config_at
config_tables(const struct config_at *at, const char *key)
{
	return below(at, param_of(at, key), NULL, key);
}

const char *
config_text(const struct config_at *at, const char *key)
{
	const struct toml *value = good(at, key);

	return value && value->type == TOML_STRING ? value->text : config_has(at, key) ? NULL : param_of(at, key)->text;
}

int64_t
config_int(const struct config_at *at, const char *key)
{
	const struct toml *value = good(at, key);

	return value ? value->integer : param_of(at, key)->number;
}

bool
config_bool(const struct config_at *at, const char *key)
{
	const struct toml *value = good(at, key);

	return value ? value->boolean : param_of(at, key)->number != 0;
}

char *
config_file(const struct config_at *at, const char *key)
{
	const struct toml *value = good(at, key);
	struct err ignored = ERR_INIT;

	return value && value->type == TOML_STRING ? uri_file_path(value->text, &ignored) : NULL;
}

char *
config_place(const struct config_at *at, const char *key)
{
	const struct toml *value = good(at, key);
	struct err ignored = ERR_INIT;

	return value ? config_keys_place(value->text, &ignored) : NULL;
}

const struct toml *
config_list(const struct config_at *at, const char *key)
{
	const struct toml *value = good(at, key);

	return value && value->type == TOML_ARRAY ? value : NULL;
}

/* -- Telling ------------------------------------------------------------------------------------------------------------------------------ */

static void
tell(const struct config_at *at, enum finding_level level, const char *key, const char *sentence)
{
	const struct toml *value = key && at->table ? toml_find(at->table, key) : at->table;
	const struct toml *place = value ? value : at->table ? at->table : at->root;
	struct config_at in = *at;
	bool is_file = place == at->root;

	if (key)
		set_path(&in, at->path, key);
	findings_add(at->findings, level, place->file, is_file ? 0 : place->line, *in.path ? in.path : NULL, "%s", sentence);
}

void
config_wrong(const struct config_at *at, const char *key, const char *fmt, ...)
{
	char sentence[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	tell(at, FINDING_ERROR, key, sentence);
}

void
config_warn(const struct config_at *at, const char *key, const char *fmt, ...)
{
	char sentence[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	tell(at, FINDING_WARNING, key, sentence);
}

bool
config_need(const struct config_at *at, const char *key)
{
	if (config_has(at, key))
		return true;
	config_wrong(at, key, "is missing");
	return false;
}
