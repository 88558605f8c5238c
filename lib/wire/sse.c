/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events, line by line (sse.h). */
#include "wire/sse.h"

#include <string.h>

#include "base/text.h"

#define ID_MAX 256

void
sse_reader_init(struct sse_reader *reader, size_t max, bool (*on_event)(void *arg, const char *data), void *arg)
{
	*reader = (struct sse_reader){
		.line = BUF_INIT(max), .data = BUF_INIT(max), .id = BUF_INIT(ID_MAX), .on_event = on_event, .arg = arg
	};
}

void
sse_reader_clear(struct sse_reader *reader)
{
	buf_clear(&reader->line);
	buf_clear(&reader->data);
	buf_clear(&reader->id);
}

void
sse_reader_again(struct sse_reader *reader)
{
	buf_reset(&reader->line);
	buf_reset(&reader->data);
}

static const char *
value_of(const char *line, const char *field)
{
	size_t len = strlen(field);

	if (!text_starts(line, field) || line[len] != ':')
		return NULL;
	return line[len + 1] == ' ' ? line + len + 2 : line + len + 1;
}

static bool
take_line(struct sse_reader *reader)
{
	const char *line = buf_text(&reader->line), *value;
	bool go_on = true;

	if (*line == '\0' && reader->data.len > 0) {
		go_on = reader->on_event(reader->arg, buf_text(&reader->data));
		buf_reset(&reader->data);
	} else if ((value = value_of(line, "data")) != NULL) {
		if (reader->data.len > 0)
			buf_putc(&reader->data, '\n');
		buf_puts(&reader->data, value);
	} else if ((value = value_of(line, "id")) != NULL) {
		buf_reset(&reader->id);
		buf_puts(&reader->id, value);
	}
	buf_reset(&reader->line);
	return go_on && !reader->data.failed && !reader->id.failed;
}

bool
sse_reader_feed(struct sse_reader *reader, const void *data, size_t len)
{
	const char *at = data, *end = at + len, *line_end;

	while (at < end) {
		line_end = memchr(at, '\n', (size_t)(end - at));
		buf_put(&reader->line, at, (size_t)((line_end ? line_end : end) - at));
		if (reader->line.failed)
			return false;
		if (!line_end)
			return true;
		if (reader->line.len > 0 && reader->line.data[reader->line.len - 1] == '\r')
			reader->line.data[--reader->line.len] = '\0';
		if (!take_line(reader))
			return false;
		at = line_end + 1;
	}
	return true;
}
