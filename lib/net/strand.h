/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Strands: connections that share one, the carrier.  A strand is a struct conn like any other (conn.h), so a protocol knows nothing of it; it has no descriptor and no TLS of its own.  One side of
 * a carrier opens strands, the other accepts them as a listener would.  Frames are those of wire/strand_frame.h.
 *
 * What is written on any strands of a carrier in one turn of the loop leaves together, in one record of TLS.  Each strand may have 64 KiB on its way in each direction that its receiver has not taken,
 * so one that is paused stops neither the carrier nor its neighbours; a peer that sends more than that ends the carrier.  While the carrier itself has much to send, its strands take turns.
 * A strand at rest costs about half a kilobyte.
 *
 * A carrier that is lost takes its strands with it: on_close of each comes once, with the same reason; to one that is paused with something to read, once it has read that.  On one that is silent, either side asks for a word after a minute and gives up after three.
 *
 * Of a strand that was accepted, conn_peer_chain is empty, also when its carrier was opened with a certificate: that is evidence for whoever opened the carrier, not for those whom it carries. */

#include "net/conn.h"

#define STRANDS_MAX 65536 /* on a carrier */

struct conn_carrier;
struct conn_carrier_config {
	/* To accept strands: what a listener would be given.  `ops` NULL: this side opens them. */
	const struct conn_ops *ops;
	void (*on_accept)(struct conn *strand, void *user); /* sets conn_user; on_open follows */
	void *user;
	/* The rest is called with `arg`, and may be NULL.  May a further one be taken now?  Else it ends at once. */
	bool (*may_accept)(struct conn_carrier *carrier, void *arg);
	void (*on_retired)(struct conn_carrier *carrier, void *arg); /* by the peer: further strands need another carrier */
	void (*on_end)(struct conn_carrier *carrier, void *arg, const char *why); /* the last call; the carrier is gone after it */
	void *arg;
	size_t max_strands; /* at a time, 0: STRANDS_MAX */
	size_t max_unanswered; /* of those that were accepted and have got no word from this side; a further one ends at once.  0: no limit */
	int64_t ping_ms; /* so long a silence is asked about, three times as long is an end; 0: a minute */
};

/* This connection, which is open, carries strands from now on, and is the carrier's. */
struct conn_carrier *conn_carrier_begin(struct conn *conn, const struct conn_carrier_config *config);
struct conn *conn_carrier_conn(struct conn_carrier *carrier);
size_t conn_carrier_count(const struct conn_carrier *carrier); /* strands that have not ended */

/* As conn_connect: on_open follows.  NULL: no further one fits, or the carrier is retired. */
struct conn *conn_connect_strand(struct conn_carrier *carrier, const struct conn_ops *ops, void *user, struct err *err);

/* No further strands; it ends, in order, with the last one that it has. */
void conn_carrier_retire(struct conn_carrier *carrier);
bool conn_carrier_is_retired(const struct conn_carrier *carrier);
