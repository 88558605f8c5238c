/* SPDX-License-Identifier: Apache-2.0 */
/* TOML: the structure (keys, tables, arrays).  Values are read by toml_value.c. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/toml_inside.h"

struct toml *
toml_new(const struct toml_reader *r, enum toml_type type)
{
	struct toml *t = NEW(toml);

	t->type = type;
	t->file = r->file;
	t->line = r->line;
	t->column = (int)(r->at - r->line_start) + 1;
	return t;
}

void
toml_free(struct toml *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		toml_free(t->item[i]);
	for (size_t i = 0; i < t->n_files; i++)
		mem_free(t->files[i]);
	mem_free(t->files);
	mem_free(t->item);
	mem_free(t->key);
	if (t->text)
		mem_wipe(t->text, t->text_len);
	mem_free(t->text);
	mem_free(t);
}

void
toml_add(struct toml *parent, struct toml *child)
{
	if ((parent->n & (parent->n - 1)) == 0)
		parent->item = mem_resize(parent->item, (parent->n ? parent->n * 2 : 1) * sizeof(*parent->item));
	parent->item[parent->n++] = child;
}

struct toml *
toml_find(const struct toml *table, const char *key)
{
	for (size_t i = 0; table->type == TOML_TABLE && i < table->n; i++)
		if (strcmp(table->item[i]->key, key) == 0)
			return table->item[i];
	return NULL;
}

struct toml *
toml_find_path(const struct toml *table, const char *path)
{
	struct slice rest = slice_of(path), part;
	const struct toml *at = table;
	bool more = true;

	while (more && at) {
		OWN_TEXT key = NULL;

		more = slice_cut(&rest, '.', &part);
		key = slice_text(part);
		at = toml_find(at, key);
	}
	return at == table ? NULL : (struct toml *)(uintptr_t)at;
}

const char *
toml_type_name(enum toml_type type)
{
	static const char *const names[] = { "a table", "an array", "a string", "a whole number", "a number", "true or false",
		"a date" };

	return names[type];
}

/* -- The reader
 * ---------------------------------------------------------------------------------------------------------------------- */

int
toml_fail(struct toml_reader *r, const char *what)
{
	return err_set(r->err, ERR_INVALID, "%s:%d: %s", r->file, r->line, what);
}

char
toml_peek(const struct toml_reader *r)
{
	return r->at < r->end ? *r->at : '\0';
}

char
toml_next(struct toml_reader *r)
{
	char c = toml_peek(r);

	if (r->at < r->end)
		r->at++;
	if (c == '\n') {
		r->line++;
		r->line_start = r->at;
	}
	return c;
}

bool
toml_take(struct toml_reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	toml_next(r);
	return true;
}

bool
toml_ahead(const struct toml_reader *r, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(r->end - r->at) >= len && memcmp(r->at, text, len) == 0;
}

void
toml_skip_blank(struct toml_reader *r)
{
	while (toml_peek(r) == ' ' || toml_peek(r) == '\t')
		r->at++;
}

static bool
is_newline(const struct toml_reader *r)
{
	return toml_peek(r) == '\n' || toml_ahead(r, "\r\n");
}

int
toml_skip_comment(struct toml_reader *r)
{
	if (toml_peek(r) != '#' || r->at == r->end)
		return 0;
	while (r->at < r->end && !is_newline(r)) {
		unsigned char c = (unsigned char)*r->at++;

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return toml_fail(r, "a control character in a comment");
	}
	return 0;
}

static int
end_of_line(struct toml_reader *r)
{
	toml_skip_blank(r);
	if (toml_skip_comment(r) < 0)
		return -1;
	if (r->at == r->end)
		return 0;
	toml_take(r, '\r');
	return toml_take(r, '\n') ? 0 : toml_fail(r, "something follows where the line should end");
}

int
toml_skip_lines(struct toml_reader *r)
{
	for (;;) {
		toml_skip_blank(r);
		if (toml_skip_comment(r) < 0)
			return -1;
		if (!is_newline(r))
			return 0;
		toml_take(r, '\r');
		toml_take(r, '\n');
	}
}

/* -- Keys
 * ------------------------------------------------------------------------------------------------------------------------------ */

static bool
is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static char *
read_key(struct toml_reader *r)
{
	const char *start = r->at;
	char quote = toml_peek(r);

	if (quote == '"' || quote == '\'') {
		struct toml *text = NULL;
		char *key = NULL;

		if (toml_ahead(r, "\"\"\"") || toml_ahead(r, "'''"))
			toml_fail(r, "a key can't be a text of several lines");
		else
			text = toml_read_string(r);
		if (text && strlen(text->text) == text->text_len)
			key = GIVE(text->text);
		else if (text)
			toml_fail(r, "a key with NUL");
		toml_free(text);
		return key;
	}
	while (r->at < r->end && is_bare(*r->at))
		r->at++;
	if (r->at == start) {
		toml_fail(r, "expected a key");
		return NULL;
	}
	return mem_textn(start, (size_t)(r->at - start));
}

/* "a.b.c": all parts; the last one is the key itself. */
static int
read_dotted(struct toml_reader *r, char **parts, size_t *n)
{
	for (*n = 0;;) {
		if (*n == TOML_DEPTH_MAX)
			return toml_fail(r, "a key with too many parts");
		toml_skip_blank(r);
		parts[*n] = read_key(r);
		if (!parts[*n])
			return -1;
		++*n;
		toml_skip_blank(r);
		if (toml_peek(r) != '.')
			return 0;
		toml_next(r);
	}
}

static void
free_parts(char **parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mem_free(parts[i]);
}

static int
taken(struct toml_reader *r, const char *key)
{
	return err_set(r->err, ERR_INVALID, "%s:%d: `%s` is given a second time", r->file, r->line, key);
}

/* Keys are looked up one by one: what a file can make that cost has a ceiling. */
static bool
has_room(struct toml_reader *r, const struct toml *table)
{
	if (table->n < TOML_KEYS_MAX)
		return true;
	err_set(r->err, ERR_LIMIT, "%s:%d: a table with more than %d keys", r->file, r->line, TOML_KEYS_MAX);
	return false;
}

static struct toml *
new_table(struct toml_reader *r, struct toml *parent, const char *key)
{
	struct toml *t;

	if (!has_room(r, parent))
		return NULL;
	t = toml_new(r, TOML_TABLE);
	t->key = mem_text(key);
	toml_add(parent, t);
	return t;
}

/* Walk down the dotted parts before the last, making what is missing. */
static struct toml *
descend_dotted(struct toml_reader *r, struct toml *table, char **parts, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++) {
		struct toml *child = toml_find(table, parts[i]);

		if (!child) {
			child = new_table(r, table, parts[i]);
			if (!child)
				return NULL;
			child->is_dotted = true;
		} else if (child->type != TOML_TABLE || child->is_inline || (child->is_defined && !child->is_dotted)) {
			taken(r, parts[i]);
			return NULL;
		}
		table = child;
	}
	return table;
}

static struct toml *
read_pair_value(struct toml_reader *r, struct toml *into, const char *key)
{
	if (!toml_take(r, '=')) {
		toml_fail(r, "expected = after the key");
		return NULL;
	}
	if (toml_find(into, key)) {
		taken(r, key);
		return NULL;
	}
	toml_skip_blank(r);
	return has_room(r, into) ? toml_read_value(r) : NULL;
}

int
toml_read_pair(struct toml_reader *r, struct toml *table)
{
	char *parts[TOML_DEPTH_MAX];
	size_t n = 0;
	struct toml *value = NULL, *into = NULL;
	int line = r->line, column = (int)(r->at - r->line_start) + 1, status = read_dotted(r, parts, &n);

	r->depth += n;
	if (status == 0 && r->depth > TOML_DEPTH_MAX)
		toml_fail(r, "nested too deeply");
	else if (status == 0)
		into = descend_dotted(r, table, parts, n);
	if (into)
		value = read_pair_value(r, into, parts[n - 1]);
	if (value) {
		value->key = GIVE(parts[n - 1]);
		value->line = line;
		value->column = column;
		toml_add(into, value);
	}
	r->depth -= n;
	free_parts(parts, n);
	return value ? 0 : -1;
}

/* -- Headers
 * ---------------------------------------------------------------------------------------------------------------------------- */

/* The table that a header's part names on the way: of an array of tables, its last one. */
static struct toml *
descend_header(struct toml_reader *r, struct toml *at, const char *key)
{
	struct toml *child = toml_find(at, key);

	if (!child)
		return new_table(r, at, key);
	if (child->type == TOML_ARRAY && child->is_table_array)
		return child->item[child->n - 1];
	if (child->type != TOML_TABLE || child->is_inline) {
		taken(r, key);
		return NULL;
	}
	return child;
}

static struct toml *
define_table(struct toml_reader *r, struct toml *at, const char *key)
{
	struct toml *t = toml_find(at, key);

	if (t && (t->type != TOML_TABLE || t->is_defined || t->is_inline || t->is_dotted)) {
		taken(r, key);
		return NULL;
	}
	if (!t)
		t = new_table(r, at, key);
	if (!t)
		return NULL;
	t->is_defined = true;
	t->line = r->line;
	return t;
}

static struct toml *
append_table(struct toml_reader *r, struct toml *at, const char *key)
{
	struct toml *array = toml_find(at, key), *t;

	if (array && (array->type != TOML_ARRAY || !array->is_table_array)) {
		taken(r, key);
		return NULL;
	}
	if (!array) {
		if (!has_room(r, at))
			return NULL;
		array = toml_new(r, TOML_ARRAY);
		array->key = mem_text(key);
		array->is_table_array = true;
		toml_add(at, array);
	}
	t = toml_new(r, TOML_TABLE);
	t->is_defined = true;
	toml_add(array, t);
	return t;
}

static struct toml *
open_table(struct toml_reader *r, struct toml *root, char **parts, size_t n, bool array)
{
	struct toml *at = root;

	for (size_t i = 0; at && i + 1 < n; i++)
		at = descend_header(r, at, parts[i]);
	if (!at)
		return NULL;
	return array ? append_table(r, at, parts[n - 1]) : define_table(r, at, parts[n - 1]);
}

static struct toml *
read_header(struct toml_reader *r, struct toml *root)
{
	char *parts[TOML_DEPTH_MAX];
	size_t n = 0;
	struct toml *table = NULL;
	int column = (int)(r->at - r->line_start) + 1;
	bool array;

	toml_take(r, '[');
	array = toml_take(r, '[');
	if (read_dotted(r, parts, &n) == 0) {
		if (toml_take(r, ']') && (!array || toml_take(r, ']')))
			table = open_table(r, root, parts, n, array);
		else
			toml_fail(r, "a table header without its ]");
	}
	if (table)
		table->column = column;
	r->depth = n;
	free_parts(parts, n);
	return table;
}

static int
read_document(struct toml_reader *r, struct toml *root)
{
	struct toml *table = root;

	for (;;) {
		if (toml_skip_lines(r) < 0)
			return -1;
		if (r->at == r->end)
			return 0;
		if (toml_peek(r) == '[') {
			table = read_header(r, root);
			if (!table)
				return -1;
		} else if (toml_read_pair(r, table) < 0) {
			return -1;
		}
		if (end_of_line(r) < 0)
			return -1;
	}
}

/* The names of files outlive the documents that they name, because merging moves values on. */
static const char *
add_file(struct toml *root, char *take)
{
	root->files = mem_resize(root->files, (root->n_files + 1) * sizeof(*root->files));
	root->files[root->n_files++] = take;
	return take;
}

struct toml *
toml_parse(const char *text, size_t len, const char *file, struct err *err)
{
	struct toml_reader r = { .file = file, .line = 1, .err = err };
	OWN(toml) root = NEW(toml);

	if (len > TOML_MAX)
		return err_null(err, ERR_LIMIT, "%s: larger than %d bytes", file, TOML_MAX);
	if (!text_is_utf8(text, len))
		return err_null(err, ERR_INVALID, "%s: not UTF-8", file);
	r.at = r.line_start = len > 0 ? text : "";
	r.end = r.at + len;
	if (toml_ahead(&r, "\xef\xbb\xbf"))
		r.at = r.line_start = r.at + 3;
	root->type = TOML_TABLE;
	root->line = root->column = 1;
	root->file = r.file = add_file(root, mem_text(file));
	if (read_document(&r, root) < 0)
		return NULL;
	return GIVE(root);
}

/* -- Merging
 * ---------------------------------------------------------------------------------------------------------------------------- */

static void
replace(struct toml *table, struct toml *old, struct toml *new)
{
	for (size_t i = 0; i < table->n; i++)
		if (table->item[i] == old)
			table->item[i] = new;
	toml_free(old);
}

static void
merge(struct toml *into, struct toml *from)
{
	for (size_t i = 0; i < from->n; i++) {
		struct toml *new = from->item[i], *old = into->type == TOML_TABLE ? toml_find(into, new->key) : NULL;

		if (old && old->type == new->type && (old->type == TOML_TABLE || old->type == TOML_ARRAY)) {
			merge(old, new);
			toml_free(new);
		} else if (old) {
			replace(into, old, new);
		} else {
			toml_add(into, new);
		}
	}
	from->n = 0;
}

void
toml_merge(struct toml *into, struct toml *from)
{
	merge(into, from);
	for (size_t i = 0; i < from->n_files; i++)
		add_file(into, from->files[i]);
	from->n_files = 0;
}

void
toml_remove(struct toml *table, const char *key)
{
	struct toml *gone = toml_find(table, key);
	size_t kept = 0;

	for (size_t i = 0; gone && i < table->n; i++)
		if (table->item[i] != gone)
			table->item[kept++] = table->item[i];
	table->n -= gone ? 1 : 0;
	toml_free(gone);
}
