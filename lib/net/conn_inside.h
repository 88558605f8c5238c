/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: the parts of a connection, which conn.c (life), conn_io.c (bytes), conn_handshake.c and conn_connect.c share. */

#include <netinet/in.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/pool.h"
#include "net/conn.h"
#include "net/loop_inside.h"
#include "net/tls_inside.h"

enum conn_state {
	CONN_CONNECTING,  /* TCP, as a client */
	CONN_HANDSHAKE,   /* TLS, waiting for the peer */
	CONN_COMPUTING,   /* TLS, a worker has it */
	CONN_OPEN,
	CONN_FLUSHING,    /* closes when everything queued was sent */
	CONN_DEAD,        /* on_close comes with the next turn */
};

struct listener;

/* Needed only until the connection is open. */
struct conn_opening {
	struct timer timer;
	struct conn *conn;
	struct pool *pool; /* for handshakes; NULL: on the loop */
	struct job job;
	int ssl_result, ssl_error;
	char why[160];
};

struct conn {
	SSL *ssl; /* NULL: plain */
	struct conn_opening *opening;
	struct verdict *verdict;
	struct buf in, out;
	char *why;
	struct loop *loop;
	const struct conn_ops *ops;
	void *user;
	struct listener *listener;
	uint64_t id;
	struct watch watch;
	struct later later;
	int fd, pidfd;
	enum conn_state state;
	bool paused, want_write, read_more, in_callback;
	struct sockaddr_in6 peer; /* IPv4 as mapped; sin6_family 0: a unix socket */
	struct peer_process *process;
};

struct conn *conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *user);
void conn_start(struct conn *conn, struct pool *handshakes, int64_t timeout_ms); /* TLS when it has an SSL, else open at once */
void conn_opened(struct conn *conn);
void conn_die(struct conn *conn, const char *why);
void conn_io_ready(struct conn *conn, unsigned what);
void conn_io_turn(struct conn *conn);
void conn_io_flush(struct conn *conn);
void conn_watch(struct conn *conn); /* set what to wait for */
void conn_handshake_step(struct conn *conn);

/* The listener's side. */
void listener_conn_closed(struct listener *listener, struct conn *conn);
