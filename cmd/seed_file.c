/* SPDX-License-Identifier: Apache-2.0 */
/* Reading devices (seed_file.h).  CSV is that of RFC 4180: quotes around what has commas, quotes or line breaks in it, a quote within them doubled.  A
 * column is a path into the JSON that the REST API takes; the frequent ones have short names. */
#include "seed_file.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"

#define DEVICE_MAX (1 << 20)
#define FIELD_MAX (64 << 10)

static const struct {
	const char *name, *path;
} short_names[] = {
	{ "id", "deviceId" },
	{ "auth", "authentication.type" },
	{ "primaryKey", "authentication.symmetricKey.primaryKey" },
	{ "secondaryKey", "authentication.symmetricKey.secondaryKey" },
	{ "primaryThumbprint", "authentication.x509Thumbprint.primaryThumbprint" },
	{ "secondaryThumbprint", "authentication.x509Thumbprint.secondaryThumbprint" },
	{ "edge", "capabilities.iotEdge" },
	{ "scope", "deviceScope" },
};

static const char *const whole_names[] = { "deviceId", "moduleId", "status", "statusReason", "parent" };

static int
get_byte(struct seed_file *file)
{
	int c = getc_unlocked(file->in);

	if (c == EOF)
		return EOF;
	file->n_bytes++;
	if (c == '\n')
		file->at++;
	return c;
}

static void
unget_byte(struct seed_file *file, int c)
{
	if (c == EOF)
		return;
	ungetc(c, file->in);
	file->n_bytes--;
	if (c == '\n')
		file->at--;
}

/* -- CSV ------------------------------------------------------------------------------------------------------------------------------- */

/* The rest of a field that began with a quote, up to what ends it. */
static int
read_quoted(struct seed_file *file, struct buf *field, struct err *err)
{
	int c;

	while ((c = get_byte(file)) != EOF) {
		if (c != '"') {
			buf_putc(field, (char)c);
			continue;
		}
		c = get_byte(file);
		if (c != '"')
			return c;
		buf_putc(field, '"');
	}
	(void)err_set(err, ERR_INVALID, "a quote is not closed");
	return -2;
}

/* One field into *field; what ended it: ',', '\n' or EOF; -2 with err. */
static int
read_field(struct seed_file *file, struct buf *field, struct err *err)
{
	int c = get_byte(file);

	buf_reset(field);
	if (c == '"') {
		c = read_quoted(file, field, err);
		if (c == -2)
			return -2;
	} else {
		for (; c != ',' && c != '\r' && c != '\n' && c != EOF; c = get_byte(file))
			buf_putc(field, (char)c);
	}
	if (c == '\r')
		c = get_byte(file);
	if (c != ',' && c != '\n' && c != EOF) {
		(void)err_set(err, ERR_INVALID, "after a closing quote a comma or the end of the line is expected");
		return -2;
	}
	if (!field->failed && !memchr(field->data ? field->data : (const uint8_t *)"", '\0', field->len))
		return c;
	(void)err_set(err, ERR_INVALID, "a field is longer than %d bytes, or has a zero byte", FIELD_MAX);
	return -2;
}

static const char *
path_of(const char *name)
{
	for (size_t i = 0; i < COUNT(short_names); i++)
		if (text_is_nocase(name, short_names[i].name))
			return short_names[i].path;
	for (size_t i = 0; i < COUNT(whole_names); i++)
		if (text_is_nocase(name, whole_names[i]))
			return whole_names[i];
	if (text_starts(name, "tags.") || text_starts(name, "properties.desired."))
		return name;
	return NULL;
}

static int
add_column(struct seed_file *file, const char *name, struct err *err)
{
	const char *path = path_of(name);
	bool is_desired = text_starts(name, "desired.");

	if (!path && !is_desired)
		return err_set(err, ERR_INVALID,
			"line 1: there is no column '%.60s'; known are deviceId, moduleId, auth, primaryKey, secondaryKey, "
			"primaryThumbprint, "
			"secondaryThumbprint, status, statusReason, edge, scope, parent, tags.NAME, desired.NAME",
			name);
	if (file->n_columns == SEED_FILE_COLUMNS_MAX)
		return err_set(err, ERR_LIMIT, "line 1: there are more than %d columns", SEED_FILE_COLUMNS_MAX);
	file->columns[file->n_columns++] = is_desired ? mem_textf("properties.%s", name) : mem_text(path);
	return 0;
}

static int
read_header(struct seed_file *file, struct err *err)
{
	struct buf field = BUF_INIT(FIELD_MAX);
	bool has_id = false;
	int end = ',', done = 0;

	while (end == ',' && done == 0) {
		end = read_field(file, &field, err);
		done = end == -2 ? err_wrap(err, "line 1") : add_column(file, buf_text(&field), err);
	}
	for (size_t i = 0; i < file->n_columns; i++)
		has_id = has_id || text_is(file->columns[i], "deviceId");
	buf_clear(&field);
	if (done == 0 && !has_id)
		return err_set(err, ERR_INVALID, "line 1 names no column deviceId: it is neither CSV of devices nor JSON");
	return done;
}

/* The object in `object` of that name, made when there is none; NULL: something else is there, or that is no name. */
static json_t *
need_object(json_t *object, const char *key)
{
	json_t *inner = json_object_get(object, key);

	if (inner)
		return json_is_object(inner) ? inner : NULL;
	inner = json_object();
	return json_object_set_new(object, key, inner) == 0 ? inner : NULL; /* which frees it when it can't */
}

/* Set `value` at "a.b.c", making the objects on the way. */
static int
put_path(json_t *object, const char *path, json_t *value_take, struct err *err)
{
	struct slice rest = slice_of(path), word;
	OWN_TEXT key = NULL;

	while (object && slice_cut(&rest, '.', &word)) {
		OWN_TEXT name = slice_text(word);

		object = need_object(object, name);
	}
	key = slice_text(word);
	if (!object || json_is_object(json_object_get(object, key)))
		json_decref(value_take);
	else if (json_object_set_new(object, key, value_take) == 0)
		return 0;
	return err_set(err, ERR_INVALID, "the columns contradict each other at %s", path);
}

/* Empty means that there is nothing. */
static int
put_field(json_t *device, const char *path, const char *text, struct err *err)
{
	json_t *value;

	if (!*text)
		return 0;
	if (text_is(path, "capabilities.iotEdge")) {
		if (!text_is_nocase(text, "true") && !text_is_nocase(text, "false"))
			return err_set(err, ERR_INVALID, "edge is true or false, not '%.40s'", text);
		return put_path(device, path, json_boolean(text_is_nocase(text, "true")), err);
	}
	value = json_string(text);
	return value ? put_path(device, path, value, err) : err_set(err, ERR_INVALID, "a field is not UTF-8");
}

static int
next_row(struct seed_file *file, json_t **out, struct err *err)
{
	struct buf field = BUF_INIT(FIELD_MAX);
	OWN_LIB(json_t) device = json_object();
	size_t n = 0;
	int end = ',', done = 0;

	while (end == ',' && done == 0) {
		end = read_field(file, &field, err);
		if (end == -2)
			done = -1;
		else if (n < file->n_columns)
			done = put_field(device, file->columns[n], buf_text(&field), err);
		n++;
	}
	buf_wipe(&field);
	if (done == 0 && n != file->n_columns)
		done = err_set(err, ERR_INVALID, "it has %zu fields, the first line names %zu", n, file->n_columns);
	if (done < 0)
		return err_wrap(err, "line %llu", (unsigned long long)file->line);
	*out = json_incref(device);
	return 1;
}

/* -- JSON ----------------------------------------------------------------------------------------------------------------------------- */

struct pull {
	struct seed_file *file;
	size_t n;
};

/* One byte at a time: what follows the object is not jansson's. */
static size_t
pull_byte(void *data, size_t len, void *arg)
{
	struct pull *pull = arg;
	int c = pull->n < DEVICE_MAX && len > 0 ? get_byte(pull->file) : EOF;

	if (c == EOF)
		return 0;
	pull->n++;
	*(char *)data = (char)c;
	return 1;
}

static int
next_object(struct seed_file *file, json_t **out, struct err *err)
{
	struct pull pull = { .file = file };
	json_error_t why;

	*out = json_load_callback(pull_byte, &pull, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &why);
	if (*out)
		return 1;
	if (pull.n == DEVICE_MAX)
		return err_set(
			err, ERR_LIMIT, "line %llu: a device is larger than %d bytes", (unsigned long long)file->line, DEVICE_MAX);
	return err_set(err, ERR_INVALID, "line %llu: %s", (unsigned long long)file->at, why.text);
}

/* -- The file -------------------------------------------------------------------------------------------------------------------------- */

/* The next byte that isn't space. */
static int
skip_space(struct seed_file *file)
{
	int c = get_byte(file);

	while (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		c = get_byte(file);
	return c;
}

static int
expected(struct seed_file *file, const char *what, int found, struct err *err)
{
	if (found == EOF)
		return err_set(
			err, ERR_INVALID, "line %llu: the file ends where %s is expected", (unsigned long long)file->at, what);
	return err_set(err, ERR_INVALID, "line %llu: %s is expected", (unsigned long long)file->at, what);
}

int
seed_file_open(struct seed_file *file, FILE *in, struct err *err)
{
	int c;

	*file = (struct seed_file){ .in = in, .at = 1 };
	c = skip_space(file);
	file->is_array = c == '[';
	file->is_csv = c != '[' && c != '{' && c != EOF;
	if (!file->is_array)
		unget_byte(file, c);
	return file->is_csv ? read_header(file, err) : 0;
}

/* Up to the beginning of the next object: 1, or 0 for the end. */
static int
find_object(struct seed_file *file, struct err *err)
{
	int c = skip_space(file);

	if (!file->is_array && c == EOF)
		return ferror(file->in) ? err_errno(err, "reading") : 0;
	if (file->is_array && c == ']') {
		c = skip_space(file);
		return c == EOF ? 0 : expected(file, "the end of the file", c, err);
	}
	if (file->is_array && file->begun) {
		if (c != ',')
			return expected(file, "a comma or ]", c, err);
		c = skip_space(file);
	}
	if (c != '{')
		return expected(file, "{", c, err);
	unget_byte(file, c);
	file->begun = true;
	return 1;
}

int
seed_file_next(struct seed_file *file, json_t **out, struct err *err)
{
	int c, found;

	if (file->is_csv) {
		c = skip_space(file);
		if (c == EOF)
			return ferror(file->in) ? err_errno(err, "reading") : 0;
		unget_byte(file, c);
		file->line = file->at;
		return next_row(file, out, err);
	}
	found = find_object(file, err);
	file->line = file->at;
	return found == 1 ? next_object(file, out, err) : found;
}

void
seed_file_clear(struct seed_file *file)
{
	for (size_t i = 0; i < file->n_columns; i++)
		mem_free(file->columns[i]);
}
