/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What there is to say about a configuration: every mistake, not just the first, each with its place. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "base/err.h"

enum finding_level { FINDING_NOTE, FINDING_WARNING, FINDING_ERROR };

struct finding {
	enum finding_level level;
	char *file; /* NULL: no place */
	int line;   /* 0: the file as a whole */
	char *key;  /* "edge_ca.cert", or NULL */
	char *text;
};

#define FINDINGS_MAX 500
struct findings {
	struct finding *item;
	size_t n;
	size_t n_errors, n_warnings;
};

void findings_add(struct findings *findings, enum finding_level level, const char *file, int line, const char *key, const char *fmt,
	...) __attribute__((format(printf, 6, 7)));
void findings_clear(struct findings *findings);

/* "/etc/aziot/config.toml:12: edge_ca.cert: ..."; the caller owns it. */
char *finding_line(const struct finding *finding);
/* The first error as a failure: -1, or 0 where there is none. */
int findings_first_error(const struct findings *findings, struct err *err);
/* Those of this level and above, in the order of the files' lines. */
void findings_print(const struct findings *findings, FILE *out, enum finding_level least);
json_t *findings_json(const struct findings *findings);
