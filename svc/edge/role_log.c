/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of roles. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "edge/role_log.h"
#include "wire/json.h"

#define LINE_MAX_LEN (256 * 1024) /* more than the longest that log.h writes; whoever writes longer ones gets them cut in pieces */

/* -- The file ------------------------------------------------------------------------------------------------------------------------- */

static void
open_file(struct role_log *log)
{
	struct stat st = { 0 };

	log->file = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	log->size = log->file >= 0 && fstat(log->file, &st) == 0 ? st.st_size : 0;
}

static void
turn_over(struct role_log *log)
{
	OWN_TEXT older = mem_textf("%s.1", log->path);

	if (log->file >= 0)
		close(log->file);
	rename(log->path, older);
	open_file(log);
}

void
role_log_turn_over(struct role_log *log)
{
	struct stat st;

	if (log->file >= 0 && fstat(log->file, &st) == 0 && st.st_size > LOG_FILE_MAX)
		turn_over(log);
}

void
role_log_open(struct role_log *log, const char *dir, const char *name)
{
	*log = (struct role_log){ .path = mem_textf("%s/%s.log", dir, name), .fd = -1, .partial = BUF_INIT(LINE_MAX_LEN) };
	open_file(log);
}

/* A full disk must not stop those who keep the box running: then it is only on standard error. */
static void
keep(struct role_log *log, const void *data, size_t len)
{
	ssize_t put = -1;

	if (log->size + (off_t)len > LOG_FILE_MAX || log->file < 0)
		turn_over(log);
	if (log->file >= 0)
		put = write(log->file, data, len);
	log->size += put > 0 ? put : 0;
}

/* -- Lines ---------------------------------------------------------------------------------------------------------------------------- */

/* The sentence in the line, which is text for people or JSON. */
static void
keep_last(struct role_log *log, const char *line, size_t len)
{
	OWN_LIB(json_t) json = len > 0 && line[0] == '{' ? json_loadb(line, len, 0, NULL) : NULL;
	const char *message = json_string_value(json_object_get(json, "message"));

	if (message)
		snprintf(log->last, sizeof(log->last), "%s", message);
	else
		snprintf(log->last, sizeof(log->last), "%.*s", (int)(len < LOG_LAST_MAX ? len : LOG_LAST_MAX), line);
}

static void
pass_on(struct role_log *log, const uint8_t *line, size_t len)
{
	ssize_t ignored;

	if (len == 0)
		return;
	ignored = write(STDERR_FILENO, line, len);
	(void)ignored;
	keep(log, line, len);
	keep_last(log, (const char *)line, line[len - 1] == '\n' ? len - 1 : len);
}

/* All whole lines that there are; what is no line yet waits, unless it is too long for that. */
static void
pass_on_lines(struct role_log *log)
{
	const uint8_t *end;

	while ((end = memchr(buf_text(&log->partial), '\n', log->partial.len))) {
		size_t len = (size_t)(end - log->partial.data) + 1;

		pass_on(log, log->partial.data, len);
		buf_drop(&log->partial, len);
	}
}

static void
flush(struct role_log *log)
{
	buf_putc(&log->partial, '\n');
	pass_on_lines(log);
	buf_reset(&log->partial);
}

static void
detach(struct role_log *log)
{
	if (log->fd < 0)
		return;
	close(log->fd);
	log->fd = -1;
	if (log->partial.len > 0)
		flush(log);
}

void
role_log_attach(struct role_log *log, int fd_take)
{
	detach(log);
	log->fd = fd_take;
	fcntl(log->fd, F_SETFL, O_NONBLOCK);
}

void
role_log_read(struct role_log *log)
{
	char piece[16384];
	ssize_t got;

	/* So much a turn: one that floods its log keeps nobody else waiting. */
	for (int i = 0; log->fd >= 0 && i < 8; i++) {
		got = read(log->fd, piece, sizeof(piece));
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			detach(log);
			return;
		}
		if (log->partial.len + (size_t)got + 1 > LINE_MAX_LEN)
			flush(log);
		buf_put(&log->partial, piece, (size_t)got);
		pass_on_lines(log);
	}
}

void
role_log_close(struct role_log *log)
{
	detach(log);
	if (log->file >= 0)
		close(log->file);
	buf_clear(&log->partial);
	mem_free(log->path);
}
