/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TOML 1.0 (toml.io/en/v1.0.0): a document as a tree whose every key and value knows its file and line, so that a wrong one can
 * be named with its place even after several documents were merged.  Ceilings: 1 MiB, depth 64, 4,096 keys in a table.  One
 * deviation: a key may not hold NUL.  The tree owns everything in it; what the getters return is borrowed from it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

#define TOML_MAX (1024 * 1024)
#define TOML_DEPTH_MAX 64
#define TOML_KEYS_MAX 4096

enum toml_type { TOML_TABLE, TOML_ARRAY, TOML_STRING, TOML_INTEGER, TOML_FLOAT, TOML_BOOLEAN, TOML_DATETIME };

struct toml {
	enum toml_type type;
	char *key;	    /* NULL in an array and at the root */
	const char *file;   /* as given to toml_parse; the root owns it */
	int line, column;   /* of the key, or of the value where there is no key; from 1, columns in bytes */
	struct toml **item; /* of a table (in order of appearance) or array */
	size_t n;
	char *text;	 /* of a string; of a date-time as written */
	size_t text_len; /* a string may hold NUL */
	int64_t integer;
	double number;
	bool boolean;
	/* How it came about, which decides what may still be added to it. */
	bool is_inline, is_defined, is_dotted, is_table_array;
	char **files; /* of a root: the names of the documents in it */
	size_t n_files;
};

/* `file` names the document in errors: "config.toml:12: ...". */
struct toml *toml_parse(const char *text, size_t len, const char *file, struct err *err);
void toml_free(struct toml *toml);
OWN_DEFINE(toml);

struct toml *toml_find(const struct toml *table, const char *key);	 /* one level; NULL when absent */
struct toml *toml_find_path(const struct toml *table, const char *path); /* "a.b.c", bare keys only */
const char *toml_type_name(enum toml_type type);
/* Everything of the document `from` is added to `into`: tables merge key by key, arrays are joined, other values replace
 * (edge-services 5.1).  from is empty afterwards. */
void toml_merge(struct toml *into, struct toml *from);
void toml_remove(struct toml *table, const char *key); /* with all that is below it; absent is fine */
/* The document as text, without comments: read again, it is the same. */
void toml_put(struct buf *out, const struct toml *root);

/* Values of a table, by a path of bare keys ("listen.port").  find: absent leaves *out, its default, alone; get: absent is a
 * failure.  A value of another type, a text with NUL, or a number out of range is a failure in both: "config.toml:12:
 * listen.port: expected a whole number, found a string". */
int toml_find_text(const struct toml *table, const char *path, const char **out, struct err *err);
int toml_get_text(const struct toml *table, const char *path, const char **out, struct err *err);
int toml_find_int(const struct toml *table, const char *path, int64_t min, int64_t max, int64_t *out, struct err *err);
int toml_get_int(const struct toml *table, const char *path, int64_t min, int64_t max, int64_t *out, struct err *err);
int toml_find_bool(const struct toml *table, const char *path, bool *out, struct err *err);
int toml_find_table(const struct toml *table, const char *path, const struct toml **out, struct err *err);
/* The values of an array are item[0..n-1]. */
int toml_find_array(const struct toml *table, const char *path, const struct toml **out, struct err *err);
/* A failure for a value that the caller does not like: "config.toml:12: principal: <sentence>". */
int toml_err(const struct toml *value, struct err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Every key of the table is one of `known`: "config.toml:12: unknown key `hostnam`, did you mean `hostname`?" */
int toml_check_keys(const struct toml *table, const char *const *known, size_t n, struct err *err);
