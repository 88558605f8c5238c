/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the fuzz targets share.  A target is one parser of bytes from outside: it must survive every input, and where there is an
 * encoder, what was accepted must come back the same.  Each is built twice: with libFuzzer (option `fuzzers`), and with replay.c
 * as a test that runs the corpus. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Like assert, in every kind of build. */
#define FUZZ_CHECK(condition)                                                                                                      \
	do {                                                                                                                       \
		if (!(condition)) {                                                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
			abort();                                                                                                   \
		}                                                                                                                  \
	} while (0)

static inline bool
fuzz_same(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.text, b.text, a.len) == 0);
}

static inline bool
fuzz_same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static inline struct slice
fuzz_slice(const struct buf *b)
{
	return (struct slice){ .text = buf_text(b), .len = b->len };
}
