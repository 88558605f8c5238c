/* SPDX-License-Identifier: Apache-2.0 */
/* The log: one line an event, put together in a bounded buffer and written with one write(2), so that lines of several threads and
 * processes on one descriptor do not mix.  What is too long is cut or left out, the line itself never. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#define LOG_SENTENCE_MAX 8192
#define LOG_EVENT_MAX 65536
#define LOG_LINE_MAX (6 * LOG_SENTENCE_MAX + LOG_EVENT_MAX + 512) /* an escape takes up to six bytes */

static struct {
	const char *role;
	enum log_level level;
	enum log_format format;
	bool colour;
	int copy_fd;
} log_state = { "rootedge", LOG_INFO, LOG_TEXT, false, -1 };

static const char *const level_names[] = { "ERROR", "WARN", "INFO", "DEBUG" };

/* systemd says which device and inode the journal's end of standard error has. */
static bool
is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (!stream || fstat(fd, &st) < 0)
		return false;
	snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	return text_is(stream, own);
}

static void
take_level(const char *wish)
{
	for (size_t i = 0; i < COUNT(level_names); i++) {
		OWN_TEXT name = text_lower(level_names[i]);

		if (strstr(wish, name))
			log_state.level = (enum log_level)i;
	}
	if (strstr(wish, "trace"))
		log_state.level = LOG_DEBUG;
}

void
log_init(const char *role)
{
	const char *wish = getenv("ROOTEDGE_LOG"), *level = wish ? wish : getenv("AZIOT_LOG");

	log_state.role = role;
	log_state.colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
	if (level)
		take_level(level);
	if (wish && strstr(wish, "json"))
		log_state.format = LOG_JSON;
	else if ((!wish || !strstr(wish, "text")) && is_journal(STDERR_FILENO))
		log_state.format = LOG_JOURNAL;
}

void
log_set(enum log_level level, enum log_format format)
{
	log_state.level = level;
	log_state.format = format;
}

void
log_copy(int fd)
{
	log_state.copy_fd = fd;
}

enum log_level
log_level(void)
{
	return log_state.level;
}

enum log_format
log_format(void)
{
	return log_state.format;
}

/* How many bytes from c on can be shown as they are: one character, or 0 for what is a control or not UTF-8. */
static size_t
printable(const char *c, size_t left)
{
	uint8_t byte = (uint8_t)c[0];

	if (byte < 0x80)
		return byte < 0x20 || byte == 0x7f ? 0 : 1;
	if (byte == 0xc2 && left > 1 && (uint8_t)c[1] < 0xa0)
		return 0; /* U+0080 to U+009F: terminals take them for escape sequences too */
	for (size_t n = 2; n <= 4 && n <= left; n++)
		if (text_is_utf8(c, n))
			return n;
	return 0;
}

/* Controls and what is not UTF-8 never reach a terminal or a log collector. */
static void
put_escaped(struct buf *line, const char *text, bool json)
{
	size_t len = strnlen(text, LOG_SENTENCE_MAX), n;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = printable(text + i, len - i);
		if (n == 0)
			buf_putf(line, json ? "\\u%04x" : "\\x%02x", (uint8_t)text[i]);
		else if (json && (text[i] == '"' || text[i] == '\\'))
			buf_putf(line, "\\%c", text[i]);
		else
			buf_put(line, text + i, n);
	}
}

/* In well-formed JSON a control byte is only space between tokens; a line break there must not end the line. */
static void
put_object(struct buf *line, const char *json)
{
	size_t at = line->len;

	buf_puts(line, json);
	for (; at < line->len; at++)
		if (line->data[at] < 0x20)
			line->data[at] = ' ';
}

static void
put_text_line(struct buf *line, enum log_level level, const char *when, const char *sentence)
{
	static const char *const colours[] = { "\033[31m", "\033[33m", "", "\033[2m" };
	bool colour = log_state.colour && *colours[level];

	buf_putf(line, "%s %s%-5s%s %s: ", when, colour ? colours[level] : "", level_names[level], colour ? "\033[0m" : "",
		log_state.role);
	put_escaped(line, sentence, false);
}

/* The priority in front is for the journal, which takes it off again; who speaks it knows by the unit. */
static void
put_journal_line(struct buf *line, enum log_level level, const char *sentence)
{
	static const struct {
		int priority;
		const char *name;
	} levels[] = { { 3, "ERR!" }, { 4, "WARN" }, { 6, "INFO" }, { 7, "DBUG" } };
	char when[CLOCK_TEXT_LEN];

	buf_putf(line, "<%d>%s [%s] - ", levels[level].priority, clock_text(clock_wall(), when), levels[level].name);
	put_escaped(line, sentence, false);
}

static void
put_json_line(
	struct buf *line, enum log_level level, const char *when, const char *sentence, const char *event_name, const char *json)
{
	OWN_TEXT name = text_lower(level_names[level]);

	buf_putf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"role\":\"%s\",\"message\":\"", when, name, log_state.role);
	put_escaped(line, sentence, true);
	buf_puts(line, "\"");
	if (event_name && strnlen(json, LOG_EVENT_MAX + 1) <= LOG_EVENT_MAX) {
		buf_putf(line, ",\"%s\":", event_name);
		put_object(line, json);
	}
	buf_puts(line, "}");
}

static void
write_line(enum log_level level, const char *sentence, const char *event_name, const char *json)
{
	struct buf line = BUF_INIT(LOG_LINE_MAX);
	char when[CLOCK_TEXT_LEN];
	ssize_t ignored = 0;

	clock_text_ms(clock_wall_ms(), when);
	if (log_state.format == LOG_JSON)
		put_json_line(&line, level, when, sentence, event_name, json);
	else if (log_state.format == LOG_JOURNAL)
		put_journal_line(&line, level, sentence);
	else
		put_text_line(&line, level, when, sentence);
	buf_puts(&line, "\n");
	if (!line.failed)
		ignored = write(STDERR_FILENO, line.data, line.len);
	if (!line.failed && log_state.copy_fd >= 0)
		ignored = write(log_state.copy_fd, line.data, line.len);
	(void)ignored;
	buf_clear(&line);
}

void
log_at(enum log_level level, const char *fmt, ...)
{
	char sentence[LOG_SENTENCE_MAX];
	va_list args;

	if (level > log_state.level)
		return;
	va_start(args, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	write_line(level, sentence, NULL, NULL);
}

void
log_event(enum log_level level, const char *event_name, const char *json, const char *sentence)
{
	if (level <= log_state.level)
		write_line(level, sentence, event_name, json);
}
