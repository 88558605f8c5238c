/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: the parts of a connection, which conn.c (life), conn_io.c (bytes), conn_handshake.c and conn_connect.c share. */

#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/pool.h"
#include "net/conn.h"
#include "net/loop_inside.h"
#include "net/tls_inside.h"

enum conn_state {
	CONN_CONNECTING, /* TCP, as a client */
	CONN_HANDSHAKE,	 /* TLS, waiting for the peer */
	CONN_COMPUTING,	 /* TLS, a worker has it */
	CONN_OPEN,
	CONN_FLUSHING,	/* closes when everything queued was sent */
	CONN_LINGERING, /* on_close was called; waits for the peer's end, so that it can read our last words */
	CONN_DEAD,	/* ends with the next turn */
};

struct listener;
struct strand;

/* What a connection needs only while it opens, and again while it closes: an open one does not carry it. */
struct conn_phase {
	struct timer timer;
	struct conn *conn;
	int64_t deadline_ms;
	struct pool *pool;	       /* for handshakes; NULL: on the loop */
	struct addrinfo *found, *next; /* addresses to try */
	struct job job;
	int ssl_result, ssl_error;
	char why[TLS_FAILURE_LEN + 8];
};

struct conn {
	SSL *ssl; /* NULL: plain */
	struct conn_phase *phase;
	struct verdict *verdict;
	struct conn_framing *framing; /* NULL: none */
	struct buf in, out;
	char *why;
	struct loop *loop;
	const struct conn_ops *ops;
	void *user;
	struct listener *listener;
	struct strand *strand; /* NULL: it has a descriptor of its own (strand.h) */
	uint64_t id;
	struct watch watch; /* with its descriptor */
	struct later later;
	enum conn_state state;
	bool paused : 1, want_write : 1, read_more : 1, peer_ended : 1;
	bool in_is_raw : 1; /* it came before the framing was there */
	bool is_mute : 1;   /* a write has failed: it is only heard out */
	bool has_peer : 1;  /* false: a unix socket */
	uint16_t peer_port;
	struct in6_addr peer; /* IPv4 as mapped */
	struct peer_process *process;
};

extern const struct conn_ops conn_silent_ops; /* for a connection that nobody may hear of any more */

struct conn *conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *user);
void conn_keep_peer(struct conn *conn, const struct sockaddr_storage *address);
void conn_phase_start(struct conn *conn, int64_t timeout_ms);
void conn_phase_end(struct conn *conn);
void conn_start(
	struct conn *conn, struct pool *handshakes, int64_t timeout_ms); /* accepted: TLS when it has an SSL, else open at once */
void conn_opened(struct conn *conn);
void conn_die(struct conn *conn, const char *why);
void conn_flushed(struct conn *conn); /* the last word of a closing connection is out */
void conn_linger_ready(struct conn *conn);

bool conn_io_has_pending(const struct conn *conn); /* libssl holds bytes that no descriptor announces */
void conn_io_ready(struct conn *conn, unsigned what);
void conn_io_turn(struct conn *conn);
bool conn_io_may_read(const struct conn *conn);
/* Give the protocol what is there; keep what it leaves.  False: it wants no more. */
bool conn_io_hand_over(struct conn *conn, const uint8_t *data, size_t len);
void conn_io_written(struct conn *conn); /* something was put into `out` */

void conn_handshake_step(struct conn *conn);

void conn_connect_ready(struct conn *conn);
void conn_connect_late(struct conn *conn); /* the address being tried does not answer */
void conn_resolved(struct conn *conn, struct addrinfo *found_take, int error);

/* The listener's side. */
void listener_conn_closed(struct listener *listener, struct conn *conn);
