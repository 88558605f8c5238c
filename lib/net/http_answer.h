/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: an HTTP/1.1 answer being read, as a pure function of its bytes, which come in pieces cut anywhere.  Answers that only announce another (1xx) are read past.
 * The ceilings are the head's (64 KiB, all announcements and trailers counted) and the one that answer->body was made with. */

#include <http_parser.h>

#include "net/http_client.h"

enum http_answer_state {
	HTTP_ANSWER_MORE,
	HTTP_ANSWER_WHOLE,
	HTTP_ANSWER_TOO_LARGE,
	HTTP_ANSWER_BROKEN, /* not HTTP, or cut off */
};

struct http_answer_reader {
	struct http_answer *answer; /* borrowed */
	struct buf name, value;
	bool (*on_body)(void *arg, const void *data, size_t len); /* as in http_client.h; set after the beginning; may be NULL */
	void *arg;
	http_parser parser;
	enum http_answer_state state;
	size_t head_len;
	bool bodiless, in_value;
	bool upgrades; /* the request asked for another protocol: 101 is an answer, and what follows is that protocol's; set after the beginning */
	bool keep_alive; /* once it is whole: the connection is good for another request */
};

/* bodiless: the request was one whose answers have a head only, HEAD or CONNECT.  answer->body has its maximum, all else is empty. */
void http_answer_begin(struct http_answer_reader *reader, struct http_answer *answer, bool bodiless);
/* *used: what belongs to this answer; less than len only when it is whole or will never be. */
enum http_answer_state http_answer_feed(struct http_answer_reader *reader, const void *data, size_t len, size_t *used);
/* The stream has ended: some answers are whole by that, all others are broken. */
enum http_answer_state http_answer_end(struct http_answer_reader *reader);
void http_answer_reader_clear(struct http_answer_reader *reader);
