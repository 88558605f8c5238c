/* SPDX-License-Identifier: Apache-2.0 */
/* TOML: writing.  What is read again is the same document: values first in each table, then tables, each under its whole name. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "wire/toml.h"

static void
put_text(struct buf *out, const char *text, size_t len)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			buf_putf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_putf(out, "\\u%04X", c);
		else
			buf_putc(out, (char)c);
	}
	buf_putc(out, '"');
}

static void
put_key(struct buf *out, const char *key)
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	if (*key && key[strspn(key, bare)] == '\0')
		buf_puts(out, key);
	else
		put_text(out, key, strlen(key));
}

/* With a point or an exponent, or it would be read as a whole number. */
static void
put_number(struct buf *out, double number)
{
	char text[40];

	if (isnan(number) || isinf(number)) {
		buf_puts(out, isnan(number) ? "nan" : number < 0 ? "-inf" : "inf");
		return;
	}
	snprintf(text, sizeof(text), "%.17g", number);
	buf_puts(out, text);
	if (!strpbrk(text, ".e"))
		buf_puts(out, ".0");
}

static void
put_value(struct buf *out, const struct toml *t)
{
	switch (t->type) {
	case TOML_STRING:
		put_text(out, t->text, t->text_len);
		return;
	case TOML_INTEGER:
		buf_putf(out, "%" PRId64, t->integer);
		return;
	case TOML_FLOAT:
		put_number(out, t->number);
		return;
	case TOML_BOOLEAN:
		buf_puts(out, t->boolean ? "true" : "false");
		return;
	case TOML_DATETIME:
		buf_puts(out, t->text);
		return;
	case TOML_ARRAY:
	case TOML_TABLE:
		break;
	}
	buf_putc(out, t->type == TOML_ARRAY ? '[' : '{');
	for (size_t i = 0; i < t->n; i++) {
		buf_puts(out, i > 0 ? ", " : t->type == TOML_TABLE ? " " : "");
		if (t->type == TOML_TABLE) {
			put_key(out, t->item[i]->key);
			buf_puts(out, " = ");
		}
		put_value(out, t->item[i]);
	}
	buf_puts(out, t->type == TOML_ARRAY ? "]" : t->n > 0 ? " }" : "}");
}

static bool
is_array_of_tables(const struct toml *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->item[i]->type != TOML_TABLE)
			return false;
	return t->type == TOML_ARRAY && t->n > 0;
}

static void put_table(struct buf *out, const struct toml *t, const char *path);

static void
put_below(struct buf *out, const struct toml *t, const char *path)
{
	bool array = is_array_of_tables(t);
	CLEAR(buf) name = BUF_INIT(TOML_MAX);

	buf_putf(&name, "%s%s", path, *path ? "." : "");
	put_key(&name, t->key);
	for (size_t i = 0; i < (array ? t->n : 1); i++) {
		buf_putf(out, array ? "\n[[%s]]\n" : "\n[%s]\n", buf_text(&name));
		put_table(out, array ? t->item[i] : t, buf_text(&name));
	}
}

static void
put_table(struct buf *out, const struct toml *t, const char *path)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->item[i]->type == TOML_TABLE || is_array_of_tables(t->item[i]))
			continue;
		put_key(out, t->item[i]->key);
		buf_puts(out, " = ");
		put_value(out, t->item[i]);
		buf_putc(out, '\n');
	}
	for (size_t i = 0; i < t->n; i++)
		if (t->item[i]->type == TOML_TABLE || is_array_of_tables(t->item[i]))
			put_below(out, t->item[i], path);
}

void
toml_put(struct buf *out, const struct toml *root)
{
	put_table(out, root, "");
}
