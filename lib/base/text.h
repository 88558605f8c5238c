/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Small questions about text. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool text_is(const char *a, const char *b);	   /* both may be NULL: then equal only to NULL */
bool text_is_nocase(const char *a, const char *b); /* ASCII only, no locale */
bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);
/* What is not UTF-8, such as half a character where a text was cut, becomes a question mark each byte. */
void text_repair_utf8(char *text);
bool text_is_utf8(const char *text, size_t len);     /* RFC 3629: no surrogates, no over-long forms */
bool text_has_control(const char *text, size_t len); /* any byte below 0x20, or 0x7f */
char *text_lower(const char *text);		     /* ASCII; the caller owns the copy */

/* Is it, whole and with its case, what the pattern says: * stands for any run of characters, ? for one?  Linear but for what follows the last *; no recursion. */
bool text_fits(const char *text, const char *pattern);

/* A whole decimal number within [min, max] and nothing else; false leaves *out alone. */
bool text_to_i64(const char *text, int64_t min, int64_t max, int64_t *out);

/* The candidate nearest to `word` by edits, or NULL when none is near enough to be worth proposing. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);
