/* SPDX-License-Identifier: Apache-2.0 */
/* Findings.  A sentence may quote what stands in the file, so whatever a terminal would obey is taken out of it here, once. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/config_findings.h"

#define SENTENCE_MAX 400

static void
make_printable(char *text)
{
	text_repair_utf8(text);
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

/* Several tables may come upon the same mistake. */
static bool
is_said(const struct findings *f, const char *file, int line, const char *key, const char *text)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->item[i].line == line && text_is(f->item[i].file, file) && text_is(f->item[i].key, key) &&
			text_is(f->item[i].text, text))
			return true;
	return false;
}

void
findings_add(struct findings *f, enum finding_level level, const char *file, int line, const char *key, const char *fmt, ...)
{
	char sentence[SENTENCE_MAX];
	struct finding *one;
	va_list args;

	if (f->n == FINDINGS_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	make_printable(sentence);
	if (is_said(f, file, line, key, sentence))
		return;
	if ((f->n & (f->n - 1)) == 0)
		f->item = mem_resize(f->item, (f->n ? f->n * 2 : 1) * sizeof(*f->item));
	one = &f->item[f->n++];
	*one = (struct finding){
		.level = level, .file = mem_text(file), .line = line, .key = mem_text(key), .text = mem_text(sentence)
	};
	if (one->key)
		make_printable(one->key);
	f->n_errors += level == FINDING_ERROR;
	f->n_warnings += level == FINDING_WARNING;
}

void
findings_clear(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		mem_free(f->item[i].file);
		mem_free(f->item[i].key);
		mem_free(f->item[i].text);
	}
	mem_free(f->item);
	*f = (struct findings){ 0 };
}

char *
finding_line(const struct finding *one)
{
	OWN_TEXT line = one->line > 0 ? mem_textf(":%d", one->line) : mem_text("");

	return mem_textf("%s%s%s%s%s%s", one->file ? one->file : "", one->file ? line : "", one->file ? ": " : "",
		one->key ? one->key : "", one->key ? ": " : "", one->text);
}

int
findings_first_error(const struct findings *f, struct err *err)
{
	for (size_t i = 0; i < f->n; i++) {
		OWN_TEXT line = f->item[i].level == FINDING_ERROR ? finding_line(&f->item[i]) : NULL;

		if (line)
			return err_set(err, ERR_INVALID, "%s", line);
	}
	return 0;
}

static const char *const level_names[] = { "note", "warning", "error" };

static int
compare(const void *a, const void *b)
{
	const struct finding *x = *(const struct finding *const *)a, *y = *(const struct finding *const *)b;
	int files = strcmp(x->file ? x->file : "~", y->file ? y->file : "~");

	if (files != 0)
		return files;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->level != y->level)
		return x->level > y->level ? -1 : 1;
	return x < y ? -1 : 1;
}

/* The caller frees the array. */
static const struct finding **
in_order(const struct findings *f)
{
	const struct finding **order = mem_array(f->n + 1, sizeof(*order));

	for (size_t i = 0; i < f->n; i++)
		order[i] = &f->item[i];
	qsort(order, f->n, sizeof(*order), compare);
	return order;
}

void
findings_print(const struct findings *f, FILE *out, enum finding_level least)
{
	const struct finding **order = in_order(f);

	for (size_t i = 0; i < f->n; i++) {
		OWN_TEXT line = finding_line(order[i]);

		if (order[i]->level >= least)
			fprintf(out, "%s: %s\n", level_names[order[i]->level], line);
	}
	mem_free(order);
}

json_t *
findings_json(const struct findings *f)
{
	const struct finding **order = in_order(f);
	json_t *list = json_array();

	for (size_t i = 0; i < f->n; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s*, s:o*, s:s*, s:s}", "level", level_names[order[i]->level], "file",
				      order[i]->file, "line", order[i]->line > 0 ? json_integer(order[i]->line) : NULL, "key",
				      order[i]->key, "text", order[i]->text));
	mem_free(order);
	return list;
}
