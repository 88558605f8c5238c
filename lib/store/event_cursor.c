/* SPDX-License-Identifier: Apache-2.0 */
/* A consumer's position in an event log: one line of text in DIR/NAME.cursor, replaced atomically. */
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/event_log.h"

#define CURSOR_MAX 64

static char *
cursor_path(const char *dir, const char *name)
{
	return mem_textf("%s/%s.cursor", dir, name);
}

int
event_cursor_load(const char *dir, const char *name, uint64_t *offset, struct err *err)
{
	OWN_TEXT path = cursor_path(dir, name);
	CLEAR(buf) text = BUF_INIT(CURSOR_MAX);
	int64_t value;

	if (file_load(&text, path, err) < 0) {
		if (err->kind != ERR_MISSING)
			return -1;
		*err = (struct err)ERR_INIT;
		*offset = 0;
		return 0;
	}
	if (text.len > 0 && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	if (!text_to_i64(buf_text(&text), 0, INT64_MAX, &value))
		return err_set(err, ERR_BROKEN, "%s does not hold the offset of a record; it is left untouched", path);
	*offset = (uint64_t)value;
	return 0;
}

int
event_cursor_save(const char *dir, const char *name, uint64_t offset, struct err *err)
{
	OWN_TEXT path = cursor_path(dir, name);
	char text[CURSOR_MAX];
	int len = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)offset);

	return file_save(path, text, (size_t)len, 0600, err);
}
