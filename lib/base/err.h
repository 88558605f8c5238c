/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Failures: what was attempted, what was found, which rule.
 *
 * A function that can fail takes `struct err *err` last, returns -1 or NULL and has filled err; on the way up each level may put
 * context in front with err_wrap.  Whoever ends the chain logs the sentence once.  The value lives on the caller's stack:
 * reporting an error cannot fail and needs no freeing.  Outputs are untouched on failure.  Being refused (a certificate, a
 * device) is not a failure but an answer: see diag/verdict.h. */

#include <errno.h>

enum err_kind {
	ERR_NONE,
	ERR_INVALID,	 /* malformed or contradictory input */
	ERR_DENIED,	 /* known who or what, and no */
	ERR_MISSING,	 /* the named thing does not exist */
	ERR_CONFLICT,	 /* state changed, already exists, etag */
	ERR_LIMIT,	 /* too big, too many, too fast */
	ERR_UNAVAILABLE, /* try again later: upstream, disk, token busy */
	ERR_BROKEN,	 /* our state or a library failed */
};

struct err {
	enum err_kind kind;
	int line;
	const char *file;
	char text[480];
};

#define ERR_INIT                                                                                                                   \
	{                                                                                                                          \
		.kind = ERR_NONE                                                                                                   \
	}

/* Return -1 always, so that `return err_set(...)` reads well. */
int err_set_at(struct err *err, const char *file, int line, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 5, 6), nonnull(1)));
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), nonnull(1)));

/* The sentence followed by ": " and what errno means; the kind follows from errno. */
int err_errno_at(struct err *err, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), nonnull(1)));

#define err_set(e, kind, ...) err_set_at(e, __FILE__, __LINE__, kind, __VA_ARGS__)
#define err_null(e, kind, ...) ((void)err_set(e, kind, __VA_ARGS__), NULL)
#define err_errno(e, ...) err_errno_at(e, __FILE__, __LINE__, __VA_ARGS__)
#define err_errno_null(e, ...) ((void)err_errno(e, __VA_ARGS__), NULL)
#define err_wrap_null(e, ...) ((void)err_wrap(e, __VA_ARGS__), NULL)

const char *err_kind_name(enum err_kind kind);
