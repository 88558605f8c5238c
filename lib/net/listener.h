/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A listener accepts connections and spreads them over loops (SO_REUSEPORT, one socket a loop; unix sockets: the first loop).  It guards
 * what strangers can use up: connections in all and per peer address or uid, handshakes at a time (handshakes run on the
 * pool beside the loops: one costs as much as 50 to 120 messages), and time until on_open plus `first_data_ms`.  Running out of descriptors
 * drops the newest connection and goes on without spinning (a spare descriptor). */

#include <stdatomic.h>

#include "base/pool.h"
#include "net/conn.h"

/* A bound on the connections of several listeners together, which may change. */
struct listener_share {
	atomic_size_t n, most;
};

struct listener;
struct listener_config {
	const char *address; /* "0.0.0.0", "::" for both families (listen_address.h), "127.0.0.2" */
	int port;	     /* 0: a free one, see listener_port */
	const char *
		unix_path; /* instead: created with `unix_mode`; a stale socket is replaced, anything else and a served one are left and refused */
	mode_t unix_mode;
	int inherited_fd;	 /* with unix_path NULL and port -1: an already listening socket (socket activation) */
	struct tls_holder *tls;	 /* NULL: plain */
	struct pool *handshakes; /* NULL: on the loop */
	const struct conn_ops *ops;
	void *user;					  /* on_accept gets it */
	void (*on_accept)(struct conn *conn, void *user); /* sets conn_user; before the handshake */
	size_t max_conns;				  /* 0: 100,000 */
	int last_fd;		      /* 0: no limit.  Who gets a higher descriptor is refused: so many are open already */
	struct listener_share *share; /* NULL: none; outlives the connections */
	size_t max_per_peer;	      /* per address or uid; 0: no limit */
	int64_t open_timeout_ms;      /* TCP accept to on_open; 0: 20 s */
	int64_t accepts_per_second;   /* 0: no limit.  Further ones wait in the kernel's queue, and their clients with them */
	int64_t accept_burst;
};
struct listener *listener_open(struct loop *const *loops, size_t n_loops, const struct listener_config *config, struct err *err);
void listener_close(struct listener *listener); /* no more accepts; its connections live on.  Any thread; removes the unix socket */
int listener_port(const struct listener *listener);
/* Since it was opened; any thread. */
struct listener_counts {
	uint64_t accepted, refused, delays; /* delays: how often somebody had to wait for accepts_per_second */
	uint64_t failed_handshakes;
};
struct listener_counts listener_counts(const struct listener *listener);
size_t listener_n_conns(const struct listener *listener);
