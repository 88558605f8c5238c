/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TOML 1.0 (toml.io/en/v1.0.0): a document as a tree whose every key and value knows its line, so that a wrong key can be named with its place.  Ceilings: 1 MiB, depth
 * 64.  The tree owns everything in it; what the getters return is borrowed from it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"

#define TOML_MAX (1024 * 1024)
#define TOML_DEPTH_MAX 64

enum toml_type { TOML_TABLE, TOML_ARRAY, TOML_STRING, TOML_INTEGER, TOML_FLOAT, TOML_BOOLEAN, TOML_DATETIME };

struct toml {
	enum toml_type type;
	char *key;          /* NULL in an array and at the root */
	int line;
	struct toml **item; /* of a table (in order of appearance) or array */
	size_t n;
	char *text;         /* of a string; of a date-time as written */
	size_t text_len;    /* a string may hold NUL */
	int64_t integer;
	double number;
	bool boolean;
	/* How it came about, which decides what may still be added to it. */
	bool is_inline, is_defined, is_dotted, is_table_array;
};

/* `file` names the document in errors: "config.toml:12: ...". */
struct toml *toml_parse(const char *text, size_t len, const char *file, struct err *err);
void toml_free(struct toml *toml);
OWN_DEFINE(toml);

struct toml *toml_find(const struct toml *table, const char *key); /* one level; NULL when absent */
struct toml *toml_find_path(const struct toml *table, const char *path); /* "a.b.c", bare keys only */
const char *toml_type_name(enum toml_type type);
/* Everything of `from` is added to `into`: tables merge key by key, arrays are joined, other values replace (edge-services 5.1).  from is empty afterwards. */
void toml_merge(struct toml *into, struct toml *from);
