/* SPDX-License-Identifier: Apache-2.0 */
/* The file "lines" in a log's folder: "1 FRONT" and then "POSITION NAME" each on a line, "." at the end; replaced as a whole. */
#include "gateway/queue/queue_lines.h"

#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"

#define FILE_NAME "lines"
#define LINES_BYTES_MAX (64 << 20)

struct queue_lines {
	struct buf text;
	size_t n;
};

struct queue_lines *
queue_lines_new(uint64_t front)
{
	struct queue_lines *lines = NEW(queue_lines);

	lines->text = (struct buf)BUF_INIT(LINES_BYTES_MAX);
	buf_putf(&lines->text, "1 %llu\n", (unsigned long long)front);
	return lines;
}

void
queue_lines_add(struct queue_lines *lines, const char *name, uint64_t position)
{
	buf_putf(&lines->text, "%llu %s\n", (unsigned long long)position, name);
	lines->n++;
}

bool
queue_lines_has_any(const struct queue_lines *lines)
{
	return lines->n > 0;
}

void
queue_lines_free(struct queue_lines *lines)
{
	if (!lines)
		return;
	buf_clear(&lines->text);
	mem_free(lines);
}

int
queue_lines_save(const struct queue_lines *lines, const char *dir, struct err *err)
{
	OWN_TEXT path = file_join(dir, FILE_NAME);
	struct buf text = BUF_INIT(LINES_BYTES_MAX + 2);
	int done;

	if (lines->n == 0 || lines->text.failed)
		return file_remove(path, err);
	buf_put(&text, lines->text.data, lines->text.len);
	buf_puts(&text, ".\n");
	done = file_save(path, text.data, text.len, 0600, err);
	buf_clear(&text);
	return done;
}

/* "NUMBER REST" */
static bool
cut_line(struct slice line, uint64_t *number, struct slice *rest)
{
	struct slice head;
	int64_t value;
	OWN_TEXT digits = NULL;

	*rest = line;
	if (!slice_cut(rest, ' ', &head))
		return false;
	digits = slice_text(head);
	if (!text_to_i64(digits, 0, INT64_MAX, &value))
		return false;
	*number = (uint64_t)value;
	return true;
}

static bool
cut_front(struct slice *text, uint64_t *front)
{
	struct slice line, rest;
	uint64_t version;
	OWN_TEXT padded = NULL;

	slice_cut(text, '\n', &line);
	if (!cut_line(line, &version, &rest) || version != 1)
		return false;
	padded = mem_textf("%.*s ", SLICE_FMT(rest));
	return cut_line(slice_of(padded), front, &rest);
}

bool
queue_lines_load(
	const char *dir, uint64_t cursor, uint64_t *front, void (*each)(void *arg, const char *name, uint64_t position), void *arg)
{
	OWN_TEXT path = file_join(dir, FILE_NAME);
	CLEAR(buf) file = BUF_INIT(LINES_BYTES_MAX + 2);
	struct err ignored = ERR_INIT;
	struct slice text, line, name;
	uint64_t position;

	if (file_load(&file, path, &ignored) < 0 || !text_ends(buf_text(&file), "\n.\n"))
		return false;
	text = (struct slice){ .text = buf_text(&file), .len = file.len };
	if (!cut_front(&text, front) || *front < cursor)
		return false;
	while (slice_cut(&text, '\n', &line) && cut_line(line, &position, &name)) {
		OWN_TEXT owned = slice_text(name);

		each(arg, owned, position);
	}
	return slice_is(line, ".");
}
