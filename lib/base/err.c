/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences about failures, put together from the inside out in a buffer of fixed size: what does not fit is cut off at the end, so the outermost
 * context, which says what was attempted, always stays.  They are UTF-8, whatever was quoted and
 * wherever it was cut, because they go into JSON. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

int
err_set_at(struct err *err, const char *file, int line, enum err_kind kind, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args); /* not in place: an argument may be err->text itself */
	va_end(args);
	text_repair_utf8(text);
	memcpy(err->text, text, sizeof(text));
	err->kind = kind;
	err->file = file;
	err->line = line;
	return -1;
}

int
err_wrap(struct err *err, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list args;
	size_t len;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	len = strlen(text);
	snprintf(text + len, sizeof(text) - len, ": %.*s", (int)(sizeof(text) - len), err->text);
	text_repair_utf8(text);
	memcpy(err->text, text, sizeof(text));
	return -1;
}

static enum err_kind
kind_of_errno(int number)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
		return ERR_MISSING;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_DENIED;
	case EEXIST:
	case EADDRINUSE:
		return ERR_CONFLICT;
	case ENAMETOOLONG:
	case EFBIG:
		return ERR_LIMIT;
	case EINVAL:
	case EISDIR:
		return ERR_INVALID;
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
	case EAGAIN:
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EPIPE:
	case ETIMEDOUT:
		return ERR_UNAVAILABLE;
	default:
		return ERR_BROKEN;
	}
}

int
err_errno_at(struct err *err, const char *file, int line, const char *fmt, ...)
{
	int number = errno;
	char text[sizeof(err->text)], why[128];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return err_set_at(err, file, line, kind_of_errno(number), "%s: %s", text, strerror_r(number, why, sizeof(why)));
}

const char *
err_kind_name(enum err_kind kind)
{
	static const char *const names[] = { "none", "invalid", "denied", "missing", "conflict", "limit", "unavailable", "broken" };

	return names[kind];
}
