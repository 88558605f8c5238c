/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Server-sent events (the HTML standard, 9.2) as a client reads them: bytes that come in pieces cut anywhere become events with an id and data.  Field `event` is of no use here,
 * and lines end with LF or CR LF. */

#include <stdbool.h>

#include "base/buf.h"

struct sse_reader {
	struct buf line, data, id; /* id: of the last event that had one; what to begin behind when the connection is lost */
	bool (*on_event)(void *arg, const char *data); /* false: no more, please */
	void *arg;
};
void sse_reader_init(struct sse_reader *reader, size_t max, bool (*on_event)(void *arg, const char *data), void *arg);
void sse_reader_clear(struct sse_reader *reader);
/* A connection was lost in the middle: what was not whole is forgotten. */
void sse_reader_again(struct sse_reader *reader);
/* false: on_event wants no more, or a line is longer than may be (reader->line.failed, reader->data.failed). */
bool sse_reader_feed(struct sse_reader *reader, const void *data, size_t len);
