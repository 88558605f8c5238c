/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: what a connection without a descriptor does in place of the calls of the kernel; and what strands (strand.c) and their carrier (conn_carrier.c) know of each other. */

#include "net/conn_inside.h"
#include "net/strand.h"
#include "wire/strand_frame.h"

void strand_write(struct conn *conn, const void *data, size_t len);
void strand_turn(struct conn *conn);
void strand_end(struct conn *conn); /* it is being freed */

const struct verdict *strand_verdict(const struct conn *conn);
const char *strand_tls_version(const struct conn *conn);
struct certs strand_peer_chain(const struct conn *conn);
bool strand_is_hung_up(const struct conn *conn);

/* -- Between the two ------------------------------------------------------------------------------------------------------------------- */

#define STRAND_ROOM (256 * 1024) /* no more data is put on a carrier that has so much to send */

struct conn_carrier {
	struct conn *conn; /* NULL: it has ended */
	struct conn_carrier_config config;
	struct map *by_number; /* those whose peer has not ended them */
	struct verdict *verdict;
	const char *tls_version;
	struct strand *first_waiting, **last_waiting;
	struct timer timer;
	int64_t last_heard_ms;
	size_t n_strands, n_refs; /* its own, and one a strand */
	size_t n_unanswered;
	uint32_t last; /* number that was given */
	bool is_retired;
};

struct strand {
	struct conn *conn;
	struct conn_carrier *carrier;
	struct strand *next, **link; /* among those that wait for room */
	uint32_t number;	     /* 0: not open yet */
	uint32_t credit;	     /* what may be sent */
	uint32_t window;	     /* what the peer may send */
	uint32_t held;		     /* what it has sent and the protocol has not taken */
	bool has_written;
	bool is_unanswered; /* the peer opened it, and we have not said anything */
};

bool conn_carrier_is_live(const struct conn_carrier *carrier);
void conn_carrier_put(
	struct conn_carrier *carrier, enum strand_kind kind, uint32_t number, uint32_t n, const void *data); /* a frame */
void conn_carrier_end_if_last(struct conn_carrier *carrier);
void conn_carrier_unref(struct conn_carrier *carrier);

struct strand *strand_new(struct conn_carrier *carrier, const struct conn_ops *ops, void *user);
void strand_enter(struct strand *strand, uint32_t number); /* it is open, by this number */
void strand_count_unanswered(struct strand *strand, bool is);
void strand_receive(struct strand *strand, const uint8_t *data, uint32_t len);
void strand_peer_is_gone(struct strand *strand);
/* Who waits for room; who has no credit is not among them. */
void strand_wait(struct strand *strand);
void strand_leave(struct strand *strand);
void strand_serve_waiting(struct conn_carrier *carrier); /* a frame of each, in turns */
