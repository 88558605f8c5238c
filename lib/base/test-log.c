/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "t.h"

#define WHEN "2026-03-01T00:00:00.000Z"

static int saved_stderr = -1;
static char *log_path;

/* From here on standard error goes into a file, on the first of March 2026. */
static void
capture(const char *role, enum log_level level, enum log_format format)
{
	int fd;

	clock_set_for_test(1772323200);
	mem_free(log_path);
	log_path = file_join(T_TMPDIR, "log");
	fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
	log_init(role);
	log_set(level, format);
}

/* What was logged since; the caller owns it. */
static char *
captured(void)
{
	struct buf b = BUF_INIT(1000000);
	struct err err = ERR_INIT;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	CHECK_OK(file_load(&b, log_path, &err), err);
	clock_set_for_test(0);
	mem_free(GIVE(log_path));
	return buf_take_text(&b);
}

static char *
repeat(char c, size_t n)
{
	char *text = mem_new(n + 1);

	memset(text, c, n);
	return text;
}

TEST("a line for people has time, level, role and sentence, without colour in a file")
{
	OWN_TEXT got = NULL;

	capture("hub", LOG_INFO, LOG_TEXT);
	log_info("listening on %d", 8883);
	log_error("no");
	got = captured();
	CHECK_STR(got, WHEN " INFO  hub: listening on 8883\n" WHEN " ERROR hub: no\n");
}

TEST("a JSON line is one object")
{
	OWN_TEXT got = NULL;

	capture("hub", LOG_INFO, LOG_JSON);
	log_warn("say \"hi\" to C:\\");
	got = captured();
	CHECK_STR(got, "{\"time\":\"" WHEN "\",\"level\":\"warn\",\"role\":\"hub\",\"message\":\"say \\\"hi\\\" to C:\\\\\"}\n");
}

TEST("what is above the level is not written")
{
	OWN_TEXT got = NULL;

	capture("hub", LOG_WARN, LOG_TEXT);
	log_info("quiet");
	log_debug("quiet");
	log_event(LOG_INFO, "verdict", "{}", "quiet");
	log_warn("heard");
	CHECK_INT(log_level(), LOG_WARN);
	got = captured();
	CHECK_STR(got, WHEN " WARN  hub: heard\n");
}

TEST("line breaks, escape sequences and C1 controls from outside are escaped, in both formats")
{
	OWN_TEXT text = NULL;
	OWN_TEXT json = NULL;

	capture("hub", LOG_INFO, LOG_TEXT);
	log_info("%s", "id\n" WHEN " forged\x1b[2J\x7f\xc2\x9b");
	text = captured();
	CHECK_STR(text, WHEN " INFO  hub: id\\x0a" WHEN " forged\\x1b[2J\\x7f\\xc2\\x9b\n");
	capture("hub", LOG_INFO, LOG_JSON);
	log_info("%s", "a\nb\x7f\xc2\x9b");
	json = captured();
	CHECK_CONTAINS(json, "\"message\":\"a\\u000ab\\u007f\\u00c2\\u009b\"}\n");
}

TEST("UTF-8 is kept, and a byte that is none is escaped alone")
{
	OWN_TEXT got = NULL;

	capture("hub", LOG_INFO, LOG_TEXT);
	log_info("%s", "K\xc3\xb6ln \xe2\x82\xac \xf0\x9f\x98\x80 \xff \xc3");
	got = captured();
	CHECK_CONTAINS(got, "K\xc3\xb6ln \xe2\x82\xac \xf0\x9f\x98\x80 \\xff \\xc3\n");
}

TEST("a sentence that is too long is cut, and the line still ends")
{
	OWN_TEXT many = repeat('x', 20000);
	OWN_TEXT bytes = repeat('\1', 20000);
	OWN_TEXT got = NULL;

	capture("hub", LOG_INFO, LOG_JSON);
	log_info("%s", many);
	log_info("%s", bytes);
	log_event(LOG_INFO, "verdict", "{}", many);
	got = captured();
	CHECK_CONTAINS(got, "xxx\"}\n{");
	CHECK_CONTAINS(got, "\\u0001\"}\n{");
	CHECK_CONTAINS(got, "xxx\",\"verdict\":{}}\n");
}

TEST("an event is embedded in JSON on one line, and only its sentence is for people")
{
	OWN_TEXT json = NULL;
	OWN_TEXT text = NULL;

	capture("hub", LOG_INFO, LOG_JSON);
	log_event(LOG_INFO, "verdict", "{\n\t\"ok\": false\n}", "refused");
	json = captured();
	CHECK_CONTAINS(json, "\"message\":\"refused\",\"verdict\":{  \"ok\": false }}\n");
	capture("hub", LOG_INFO, LOG_TEXT);
	log_event(LOG_INFO, "verdict", "{}", "refused");
	text = captured();
	CHECK_STR(text, WHEN " INFO  hub: refused\n");
}

TEST("an event that is too large leaves its sentence")
{
	OWN_TEXT spaces = repeat(' ', 65536 - 2);
	OWN_TEXT fits = mem_textf("{%s}", spaces);
	OWN_TEXT large = mem_textf("{%s }", spaces);
	OWN_TEXT got = NULL;

	capture("hub", LOG_INFO, LOG_JSON);
	log_event(LOG_INFO, "verdict", large, "refused");
	log_event(LOG_INFO, "verdict", fits, "accepted");
	got = captured();
	CHECK_CONTAINS(got, "\"message\":\"refused\"}\n");
	CHECK_CONTAINS(got, "\"message\":\"accepted\",\"verdict\":{ ");
	CHECK_CONTAINS(got, " }}\n");
}

TEST("ROOTEDGE_LOG sets level and format")
{
	OWN_TEXT got = NULL;

	capture("hub", LOG_ERROR, LOG_TEXT);
	setenv("ROOTEDGE_LOG", "debug,json", 1);
	log_init("gateway");
	unsetenv("ROOTEDGE_LOG");
	log_debug("all");
	got = captured();
	CHECK_CONTAINS(got, "\"level\":\"debug\",\"role\":\"gateway\",\"message\":\"all\"}\n");
}

TEST("in the journal lines are those of the original: priority, seconds, four letters of the level, the sentence")
{
	OWN_TEXT got = NULL;

	capture("keyd", LOG_DEBUG, LOG_JOURNAL);
	log_error("one");
	log_warn("two");
	log_info("three\n%s", "of it");
	log_debug("four");
	got = captured();
	CHECK_STR(got, "<3>2026-03-01T00:00:00Z [ERR!] - one\n<4>2026-03-01T00:00:00Z [WARN] - two\n"
		       "<6>2026-03-01T00:00:00Z [INFO] - three\\x0aof it\n<7>2026-03-01T00:00:00Z [DBUG] - four\n");
}

TEST("the format is the journal's where standard error is the journal's end, and what was asked for elsewhere")
{
	char stream[64];
	struct stat st;

	CHECK(fstat(STDERR_FILENO, &st) == 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	unsetenv("ROOTEDGE_LOG");
	log_set(LOG_INFO, LOG_TEXT);
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_init("keyd");
	CHECK_INT(log_format(), LOG_TEXT);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init("keyd");
	CHECK_INT(log_format(), LOG_JOURNAL);
	setenv("ROOTEDGE_LOG", "json", 1);
	log_init("keyd");
	CHECK_INT(log_format(), LOG_JSON);
	unsetenv("ROOTEDGE_LOG");
	unsetenv("JOURNAL_STREAM");
}

TEST("the level comes from ROOTEDGE_LOG, else from AZIOT_LOG in the original's words, of which the most talkative counts")
{
	static const struct {
		const char *wish;
		enum log_level level;
	} rows[] = { { "warn", LOG_WARN }, { "error", LOG_ERROR }, { "debug", LOG_DEBUG }, { "trace", LOG_DEBUG },
		{ "warn,aziot_keyd=debug", LOG_DEBUG }, { "aziot_keyd=info", LOG_INFO } };

	for (size_t i = 0; i < COUNT(rows); i++) {
		log_set(LOG_INFO, LOG_TEXT);
		setenv("AZIOT_LOG", rows[i].wish, 1);
		log_init("keyd");
		CHECK_INT(log_level(), rows[i].level);
	}
	setenv("ROOTEDGE_LOG", "error", 1);
	log_set(LOG_INFO, LOG_TEXT);
	log_init("keyd");
	CHECK_INT(log_level(), LOG_ERROR);
	unsetenv("ROOTEDGE_LOG");
	unsetenv("AZIOT_LOG");
}
