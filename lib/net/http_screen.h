/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: a screen before http-parser, which, as Debian builds it, forgives what RFC 9112 calls an error: line ends without CR, folded lines, a blank before the colon,
 * chunks that do not end where they should, HTTP/0.9.  Where two parsers forgive differently, one sees a request that the other does not; so nothing of that passes.
 *
 * A screen follows one message: its head, then, after http_screen_expect_chunks, a chunked body with its trailers.  A body with a length needs none.  Pure; cut the
 * input where you like. */

#include <stddef.h>
#include <stdint.h>

enum http_screen_answer { HTTP_SCREEN_MORE, HTTP_SCREEN_END, HTTP_SCREEN_BAD };

struct http_screen {
	uint8_t state;
	uint8_t count; /* of empty lines, version letters, digits */
	uint16_t ext_len;
	uint32_t left; /* of a chunk */
};

void http_screen_init(struct http_screen *screen);
void http_screen_expect_chunks(struct http_screen *screen);
/* *used: how many bytes are good, and of the head or body. */
enum http_screen_answer http_screen_feed(struct http_screen *screen, const void *data, size_t len, size_t *used);
