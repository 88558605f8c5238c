/* SPDX-License-Identifier: Apache-2.0 */
/* Logs that are files. */
#include "log_tail.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#define FILE_MAX (4 * 1024 * 1024) /* twice what the supervisor lets one become */
#define TIME_LEN 24

void
log_tail_put(struct buf *out, const char *path, size_t n_lines)
{
	CLEAR(buf) text = BUF_INIT(FILE_MAX);
	struct err ignored = ERR_INIT;
	size_t at;

	if (file_load(&text, path, &ignored) < 0 || text.len == 0)
		return;
	for (at = text.len - 1; at > 0; at--)
		if (text.data[at - 1] == '\n' && --n_lines == 0)
			break;
	buf_put(out, text.data + at, text.len - at);
}

/* -- Several ---------------------------------------------------------------------------------------------------------------------------- */

/* "....-..-..T..:..:...", and what it ends with. */
static bool
is_time(const char *text, size_t len)
{
	static const char form[] = "0000-00-00T00:00:00.000Z";

	for (size_t i = 0; i < TIME_LEN; i++)
		if (i >= len || (form[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != form[i]))
			return false;
	return true;
}

static void
take_time(struct log_line *line, const struct log_line *before)
{
	static const char json[] = "{\"time\":\"";
	size_t skip = line->len > sizeof(json) && strncmp(line->text, json, sizeof(json) - 1) == 0 ? sizeof(json) - 1 : 0;

	if (is_time(line->text + skip, line->len - skip))
		memcpy(line->time, line->text + skip, TIME_LEN);
	else if (before)
		memcpy(line->time, before->time, sizeof(line->time));
}

static void
add(struct log_lines *lines, const char *text, size_t len, bool is_first)
{
	if (lines->n == lines->cap) {
		lines->cap = lines->cap ? lines->cap * 2 : 1024;
		lines->item = mem_resize(lines->item, lines->cap * sizeof(*lines->item));
	}
	lines->item[lines->n] = (struct log_line){ .text = text, .len = len, .place = lines->n };
	take_time(&lines->item[lines->n], is_first ? NULL : &lines->item[lines->n - 1]);
	lines->n++;
}

static void
load(struct log_lines *lines, const char *path)
{
	struct buf *text = &lines->files[lines->n_files];
	struct err ignored = ERR_INIT;
	bool is_first = true;

	if (lines->n_files == COUNT(lines->files))
		return;
	*text = (struct buf)BUF_INIT(FILE_MAX);
	if (file_load(text, path, &ignored) < 0)
		return;
	lines->n_files++;
	for (const char *at = buf_text(text), *end; *at; at = end + 1, is_first = false) {
		end = strchr(at, '\n');
		if (!end) /* half a line: the rest is being written */
			break;
		add(lines, at, (size_t)(end - at), is_first);
	}
}

void
log_lines_load(struct log_lines *lines, const char *path)
{
	OWN_TEXT older = mem_textf("%s.1", path);

	load(lines, older);
	load(lines, path);
}

static int
compare(const void *a, const void *b)
{
	const struct log_line *one = a, *other = b;
	int order = strcmp(one->time, other->time);

	/* qsort does not keep the order of equals. */
	return order != 0 ? order : one->place < other->place ? -1 : 1;
}

void
log_lines_sort(struct log_lines *lines)
{
	if (lines->n > 1)
		qsort(lines->item, lines->n, sizeof(*lines->item), compare);
}

void
log_lines_clear(struct log_lines *lines)
{
	for (size_t i = 0; i < lines->n_files; i++)
		buf_clear(&lines->files[i]);
	mem_free(lines->item);
	*lines = (struct log_lines){ 0 };
}
