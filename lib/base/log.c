/* SPDX-License-Identifier: Apache-2.0 */
/* The log: one line an event, put together on the stack or in a bounded buffer and written with one write(2), so that lines of several threads
 * and processes on one descriptor do not mix. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#define LOG_LINE_MAX 8192
#define LOG_EVENT_MAX 65536

static struct {
	const char *role;
	enum log_level level;
	enum log_format format;
	bool colour;
} log_state = { "rootedge", LOG_INFO, LOG_TEXT, false };

static const char *const level_names[] = { "ERROR", "WARN", "INFO", "DEBUG" };

void
log_init(const char *role)
{
	const char *wish = getenv("ROOTEDGE_LOG");

	log_state.role = role;
	log_state.colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
	if (!wish)
		return;
	if (strstr(wish, "json"))
		log_state.format = LOG_JSON;
	for (size_t i = 0; i < COUNT(level_names); i++) {
		OWN_TEXT name = text_lower(level_names[i]);

		if (strstr(wish, name))
			log_state.level = (enum log_level)i;
	}
}

void
log_set(enum log_level level, enum log_format format)
{
	log_state.level = level;
	log_state.format = format;
}

enum log_level
log_level(void)
{
	return log_state.level;
}

/* Control bytes and what is not UTF-8 never reach a terminal or a log collector. */
static void
put_escaped(struct buf *line, const char *text, bool json)
{
	bool utf8 = text_is_utf8(text, strlen(text));

	for (const char *c = text; *c; c++) {
		uint8_t byte = (uint8_t)*c;

		if (json && (byte == '"' || byte == '\\'))
			buf_putf(line, "\\%c", byte);
		else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8))
			buf_putf(line, json ? "\\u%04x" : "\\x%02x", byte);
		else
			buf_putc(line, *c);
	}
}

static void
put_text_line(struct buf *line, enum log_level level, const char *when, const char *sentence)
{
	static const char *const colours[] = { "\033[31m", "\033[33m", "", "\033[2m" };
	bool colour = log_state.colour && *colours[level];

	buf_putf(line, "%s %s%-5s%s %s: ", when, colour ? colours[level] : "", level_names[level], colour ? "\033[0m" : "", log_state.role);
	put_escaped(line, sentence, false);
}

static void
put_json_line(struct buf *line, enum log_level level, const char *when, const char *sentence, const char *event_name, const char *json)
{
	OWN_TEXT name = text_lower(level_names[level]);

	buf_putf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"role\":\"%s\",\"message\":\"", when, name, log_state.role);
	put_escaped(line, sentence, true);
	buf_puts(line, "\"");
	if (event_name)
		buf_putf(line, ",\"%s\":%s", event_name, json);
	buf_puts(line, "}");
}

static void
write_line(enum log_level level, const char *sentence, const char *event_name, const char *json)
{
	struct buf line = BUF_INIT(LOG_EVENT_MAX);
	char when[CLOCK_TEXT_LEN];
	ssize_t ignored = 0;

	clock_text_ms(clock_wall_ms(), when);
	if (log_state.format == LOG_JSON)
		put_json_line(&line, level, when, sentence, event_name, json);
	else
		put_text_line(&line, level, when, sentence);
	buf_puts(&line, "\n");
	if (!line.failed)
		ignored = write(STDERR_FILENO, line.data, line.len);
	(void)ignored;
	buf_clear(&line);
}

void
log_at(enum log_level level, const char *fmt, ...)
{
	char sentence[LOG_LINE_MAX];
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
