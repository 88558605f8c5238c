/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Strands: many byte streams on one connection, as frames (net/strand.h has what they mean).  A frame is a head of nine bytes, kind, strand and n, numbers big-endian, and with DATA n bytes.
 *
 *	OPEN    strand  0	a stream begins; its number is the one after the last that this side has opened
 *	DATA    strand  n	n bytes of it, 1 to 16384
 *	END     strand  0	it is over, in both directions: its sender knows it no more
 *	CREDIT  strand  n	so many more bytes may be sent on it, 1 to 65536
 *	RETIRE  0       0	its sender takes no further stream on this connection
 *	PING    0       0	answer with PONG
 *	PONG    0       0
 *
 * Pure functions on bytes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define STRAND_PROTOCOL "rootedge-strands/1" /* that an HTTP request upgrades to */
#define STRAND_HEAD_LEN 9
#define STRAND_DATA_MAX                                                                                                            \
	16384		    /* of a frame: a record of TLS, so that a large packet of one stream stands in nobody's way for long */
#define STRAND_WINDOW 65536 /* what may be sent on a strand before the first CREDIT, and at most at a time */
#define STRAND_NUMBER_MAX UINT32_MAX

enum strand_kind { STRAND_OPEN = 1, STRAND_DATA, STRAND_END, STRAND_CREDIT, STRAND_RETIRE, STRAND_PING, STRAND_PONG, STRAND_KINDS };

struct strand_frame {
	enum strand_kind kind;
	uint32_t strand, n;
	const uint8_t *data; /* of DATA, within what was given */
};

enum strand_cut { STRAND_CUT_MORE, STRAND_CUT_FRAME, STRAND_CUT_BAD };
/* The first frame in data; *used: how long it is.  BAD: err has the rule. */
enum strand_cut strand_frame_cut(struct strand_frame *out, const uint8_t *data, size_t len, size_t *used, struct err *err);

void strand_frame_put(struct buf *out, enum strand_kind kind, uint32_t strand, uint32_t n); /* the head */
