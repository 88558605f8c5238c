/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The server's side of WebSocket (RFC 6455) as pure functions: what the handshake answers, and a cutter for the stream of a client's frames.
 *
 * The content of binary messages is one stream of bytes: how a client cut it into frames and messages means nothing to the protocol above (hub 1.1), so content is handed on as it comes,
 * unmasked in place, and no frame is ever held.  Extensions are not spoken. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* -- The handshake (RFC 6455 4.2) ---------------------------------------------------------------------------------------------------- */

#define WEBSOCKET_ACCEPT_LEN 29 /* with its zero */

/* Sec-WebSocket-Accept for this Sec-WebSocket-Key.  false: it is not the base64 of 16 bytes. */
bool websocket_accept(const char *key, char out[static WEBSOCKET_ACCEPT_LEN]);
/* Is `word` in a header's list of words, in any case? */
bool websocket_names(const char *list, const char *word);
/* The one of the offered subprotocols that is `wanted`, in the client's own spelling, which is what it looks for in the answer; the caller owns it.  NULL: it is not offered. */
char *websocket_choose(const char *offered, const char *wanted);

/* -- Frames (RFC 6455 5) -------------------------------------------------------------------------------------------------------------- */

#define WEBSOCKET_CONTROL_MAX 125
#define WEBSOCKET_HEAD_MAX 14

enum websocket_opcode {
	WEBSOCKET_CONTINUATION = 0,
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

/* Why a connection ends (RFC 6455 7.4). */
enum websocket_code {
	WEBSOCKET_NORMAL = 1000,
	WEBSOCKET_PROTOCOL_ERROR = 1002,
	WEBSOCKET_UNSUPPORTED = 1003,
	WEBSOCKET_NOT_UTF8 = 1007,
	WEBSOCKET_TOO_BIG = 1009,
};

struct websocket_reader {
	uint64_t left;	  /* of the payload of this frame */
	uint64_t max;	  /* no frame is longer */
	uint8_t *control; /* the payload of a control frame so far; NULL: none is being read */
	uint8_t head[WEBSOCKET_HEAD_MAX], n_head, mask_at;
	bool in_payload, in_message;
};

enum websocket_event {
	WEBSOCKET_MORE,	   /* everything was read */
	WEBSOCKET_CONTENT, /* a piece of a message */
	WEBSOCKET_PINGED,  /* answer with the same bytes */
	WEBSOCKET_CLOSED,  /* the client says goodbye: nothing follows */
	WEBSOCKET_BROKEN,  /* nothing more can be read */
};
struct websocket_piece {
	const uint8_t *data; /* CONTENT: within what was given; PINGED: good until the next call */
	size_t len;
	enum websocket_code code; /* CLOSED and BROKEN: what to close with */
	const char *why;	  /* BROKEN: the rule, a constant */
};

void websocket_reader_init(struct websocket_reader *reader, uint64_t max_frame);
void websocket_reader_clear(struct websocket_reader *reader);
/* The next event in data, cut where you like.  *used: how much of it was read; payload among it is unmasked in place. */
enum websocket_event websocket_read(
	struct websocket_reader *reader, uint8_t *data, size_t len, size_t *used, struct websocket_piece *piece);

/* A whole frame as a server sends it: unmasked, not fragmented. */
void websocket_put(struct buf *out, enum websocket_opcode opcode, const void *payload, size_t len);
void websocket_put_close(struct buf *out, enum websocket_code code);
