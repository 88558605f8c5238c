/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The target of an HTTP request (RFC 9112 3.2.1, RFC 3986 3.3, 3.4): "/devices/a%2Fb?api-version=1" taken apart, and whether it is one that a route stands for.  What is
 * decoded stays one segment, whatever is in it: a slash or dots that were encoded lead nowhere. */

#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"

#define HTTP_TARGET_MAX 8192
#define HTTP_SEGMENTS_MAX 16 /* further ones are overlooked: no route has as many */

struct http_target {
	char *path, *query;		   /* as they came; the query without its "?", or "" */
	char *segments[HTTP_SEGMENTS_MAX]; /* of the path, decoded; NULL: one that can't be, or has a NUL in it */
	size_t n_segments;
	struct map *values; /* of the query, decoded, by name; of several the last.  What can't be decoded is not in it */
};

void http_target_read(struct http_target *out, char *text_take);
void http_target_clear(struct http_target *target);

/* Does the path fit "devices/ * /modules/ *" (without the blanks)?  Words are compared without case, "*" is any segment, and an ending slash is overlooked (hub 4.3).  ids gets what stands for the
 * "*", in their order, and NULL after them: at most max; borrowed. */
bool http_target_fits(const struct http_target *target, const char *pattern, const char **ids, size_t max);
