/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What toml.c (structure) and toml_value.c (values) share. */

#include "base/rd.h"
#include "wire/toml.h"

struct toml_reader {
	const char *at, *end, *file, *line_start;
	int line;
	size_t depth; /* of the table that is being filled, or of the value that is being read */
	struct err *err;
};

struct toml *toml_new(const struct toml_reader *r, enum toml_type type); /* at the reader's place */
void toml_add(struct toml *parent, struct toml *child);
int toml_fail(struct toml_reader *r, const char *what); /* -1, with file and line */
char toml_peek(const struct toml_reader *r);		/* NUL at the end */
char toml_next(struct toml_reader *r);
bool toml_ahead(const struct toml_reader *r, const char *text);
bool toml_take(struct toml_reader *r, char c); /* this character, or stay before what is there instead */
void toml_skip_blank(struct toml_reader *r);
int toml_skip_comment(struct toml_reader *r);
int toml_skip_lines(struct toml_reader *r);
int toml_read_pair(struct toml_reader *r, struct toml *table);
struct toml *toml_read_value(struct toml_reader *r); /* NULL with err */
struct toml *toml_read_string(struct toml_reader *r);
