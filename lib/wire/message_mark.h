/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How a gateway says which of its messages one is, so that a hub which takes marks (our extension) knows one again that comes a second time because its acknowledgement was lost: a property
 * "$.gseq=LOG.SEQUENCE.PREVIOUS.STORED" at the end of the bag, put there on the way up and taken away where the message is stored.  Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rd.h"

#define MESSAGE_MARK_LOG_LEN 16
#define MESSAGE_MARK_MAX 128 /* bytes that one adds to a bag, at most */

struct message_mark {
	char log[MESSAGE_MARK_LOG_LEN + 1]; /* of which log of which gateway: hexadecimal, made at random with the log */
	uint64_t sequence;		    /* grows in its log; not 0 */
	uint64_t previous; /* which of this log was sent before it, of this device on this connection; 0: it is the first */
	int64_t stored_ms; /* wall clock of the gateway: of a log that was put back to an older state, later ones have the same numbers */
};

void message_mark_format(struct buf *out, const struct message_mark *mark);
bool message_mark_parse(struct message_mark *out, struct slice text);
/* Of one that goes on through a log of another gateway, which keeps the order of what it has: its part in there is a log of its own. */
void message_mark_go_through(struct message_mark *mark, const char *log);
void message_mark_put(struct buf *bag, const struct message_mark *mark);
/* The bag without its marks, of which the last is found (borrowed from the bag).  false: there is none, and rest was left alone. */
bool message_mark_cut(struct slice bag, struct buf *rest, struct slice *mark);
