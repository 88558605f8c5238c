/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmd/log_tail.h"
#include "base/file.h"
#include "base/mem.h"
#include "t.h"

static char *
saved(const char *name, const char *text)
{
	OWN_TEXT path = mem_textf("%s/%s", T_TMPDIR, name);
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, text, strlen(text), 0600, &err), err);
	return GIVE(path);
}

TEST("the last lines of a file, as many as there are")
{
	OWN_TEXT path = saved("tail", "one\ntwo\nthree\n");
	CLEAR(buf) out = BUF_INIT(1000);

	log_tail_put(&out, path, 2);
	CHECK_STR(buf_text(&out), "two\nthree\n");
	buf_clear(&out);
	log_tail_put(&out, path, 20);
	CHECK_STR(buf_text(&out), "one\ntwo\nthree\n");
	buf_clear(&out);
	log_tail_put(&out, "/nowhere/at/all", 2);
	CHECK_STR(buf_text(&out), "");
}

TEST("lines of several logs come in the order of time, text and JSON; what has no time stays behind its line, and half a line is "
     "not taken")
{
	OWN_TEXT older = saved("a.log.1", "2026-03-01T00:00:01.000Z INFO  keyd: first\n");
	OWN_TEXT a = saved("a.log", "2026-03-01T00:00:04.000Z INFO  keyd: fourth\n  and more of it\n2026-03-01T00:00:05.000Z INFO");
	OWN_TEXT b = saved("b.log", "{\"time\":\"2026-03-01T00:00:02.500Z\",\"level\":\"info\",\"message\":\"second\"}\n"
				    "{\"time\":\"2026-03-01T00:00:03.000Z\",\"level\":\"info\",\"message\":\"third\"}\n");
	struct log_lines lines = { 0 };

	log_lines_load(&lines, a);
	log_lines_load(&lines, b);
	log_lines_sort(&lines);
	CHECK_INT(lines.n, 5);
	CHECK(strncmp(lines.item[0].text + lines.item[0].len - 5, "first", 5) == 0);
	CHECK_STR(lines.item[1].time, "2026-03-01T00:00:02.500Z");
	CHECK_STR(lines.item[2].time, "2026-03-01T00:00:03.000Z");
	CHECK(strncmp(lines.item[3].text + lines.item[3].len - 6, "fourth", 6) == 0);
	CHECK(strncmp(lines.item[4].text, "  and more", 10) == 0);
	log_lines_clear(&lines);
}
