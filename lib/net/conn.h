/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A connection: a byte stream to a peer over TCP with TLS, plain TCP, or a unix socket; accepted by a listener or made by
 * conn_connect.  It lives on one loop.  What a protocol does with it is a struct conn_ops; the protocol's state hangs on conn->user.
 *
 * Reading: on_data gets everything that is there and says how much it used; the rest comes again with what follows (kept in the
 * connection's own buffer only while a partial packet is held).  Returning CONN_BAD closes.  Writing: conn_write queues and sends when the
 * event is over, so that one turn of the loop writes once; above `write_max` queued bytes the connection is closed (a slow reader must not
 * hold our memory), above write_high on_data is no longer called until it drained.  Once a write has failed nothing more is written, and the
 * connection closes when on_data has had what the peer had sent before.  Closing: conn_close is remembered and carried out by the
 * loop, never inside the callback; on_close comes exactly once, last, and the conn is gone after it. */

#include <sys/socket.h>
#include <sys/types.h>

#include "base/buf.h"
#include "diag/verdict.h"
#include "net/loop.h"
#include "net/tls.h"

struct conn;

#define CONN_BAD ((size_t)-1)

struct conn_ops {
	void (*on_open)(struct conn *conn); /* the TLS handshake is done */
	size_t (*on_data)(struct conn *conn, const uint8_t *data, size_t len);
	void (*on_drain)(struct conn *conn);		      /* everything queued was sent; may be NULL */
	void (*on_close)(struct conn *conn, const char *why); /* "" for an orderly end by the peer */
	size_t read_max;				      /* the largest unfinished piece that is kept */
	size_t write_high;				      /* stop reading above this; 0: 256 KiB */
	size_t write_max;				      /* close above this; 0: 4 MiB */
	size_t write_kept; /* a buffer of up to so much stays when everything was sent; 0: none does, for most connections are idle */
	size_t drained_below; /* on_drain also when something was sent and less than this is left; 0: when nothing is */
};

void *conn_user(const struct conn *conn);
void conn_set_user(struct conn *conn, void *user);
struct loop *conn_loop(const struct conn *conn);
uint64_t conn_id(const struct conn *conn);		/* unique in the process, for logs and for posts that may come late */
struct conn *conn_find(struct loop *loop, uint64_t id); /* NULL when it is gone */

void conn_write(struct conn *conn, const void *data, size_t len);
void conn_close(struct conn *conn, const char *why); /* after what is queued was sent */
void conn_abort(struct conn *conn, const char *why); /* now */
void conn_abort_all(struct loop *loop);		     /* the service is stopping: once the loop no longer runs, before loop_free */
void conn_pause(struct conn *conn, bool paused);     /* stop calling on_data: back-pressure */
bool conn_is_hung_up(const struct conn *conn);	     /* the peer has gone, though a paused connection hasn't read so far */
size_t conn_queued(const struct conn *conn);
void conn_switch_ops(struct conn *conn, const struct conn_ops *ops, void *user); /* HTTP upgrade */

/* A framing stands between the bytes of the connection and its protocol, which knows nothing of it: what arrives is decoded before on_data, what is written
 * is encoded. */
struct conn_framing;
struct conn_framing_ops {
	/* Decode in place: the content, which is never longer, moves to the front of data.  Answers that the protocol need not know of go to out.  Returns the content's
	 * length; with framing->ended set the connection closes once the content was handed over. */
	size_t (*decode)(struct conn_framing *framing, uint8_t *data, size_t len, struct buf *out);
	void (*encode)(struct conn_framing *framing, struct buf *out, const void *data, size_t len);
	void (*end)(struct conn_framing *framing, struct buf *out); /* the connection is being closed in order: the last word */
	void (*free)(struct conn_framing *framing);
};
struct conn_framing {
	const struct conn_framing_ops *ops;
	const char *ended; /* why; a constant */
};
void conn_set_framing(struct conn *conn, struct conn_framing *framing_take); /* from here on, in both directions */

/* Who is there. */
const char *conn_peer_name(const struct conn *conn);   /* "127.0.0.1:4711" or "unix" */
struct certs conn_peer_chain(const struct conn *conn); /* leaf first; the caller clears it; n == 0: no certificate */
struct cert *conn_peer_leaf(const struct conn *conn);  /* the caller owns a reference; NULL when there is none */
const char *conn_sni(const struct conn *conn);	       /* NULL when none was sent */
bool conn_resumed(const struct conn *conn);
const char *conn_tls_version(const struct conn *conn); /* "TLSv1.3", or NULL without TLS */
/* What is of this TLS session alone, for a proof that who made something sits at its other end: tls-exporter (RFC 9266) of TLS 1.3, tls-unique (RFC 5929) before
 * it.  Returns how many bytes; 0: no TLS. */
#define CONN_BINDING_MAX 64
size_t conn_channel_binding(const struct conn *conn, uint8_t out[static CONN_BINDING_MAX]);
const struct verdict *conn_verdict(const struct conn *conn); /* a client's verdict about the server, borrowed */
struct peer_process {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	int pidfd; /* -1 where the kernel has none; the conn's, borrowed (atk-14) */
};
bool conn_peer_process(const struct conn *conn, struct peer_process *out); /* unix sockets only */

/* After the verdict: let the peer resume (identity is what the session is bound to), or forget it.  Both release the certificates that the
 * peer sent beside its leaf. */
void conn_allow_resumption(struct conn *conn, const char *identity);
void conn_refuse_resumption(struct conn *conn);

/* Make a connection.  host is used for the name check (and SNI unless it is an address); connect_to overrides where TCP goes
 * ("127.0.0.3"), NULL means host.  Name resolution runs on the pool.  Failure before on_open is reported by on_close alone, with the reason. */
struct conn_target {
	const char *host, *connect_to;
	int port;
	const char *unix_path;	/* instead of host and port */
	struct tls_client *tls; /* NULL: plain */
	int64_t timeout_ms;	/* for TCP and TLS together; 0: 30 s */
	bool has_neighbours;	/* the handshake is a worker's: who else is on this loop does not wait for it */
};
struct conn *conn_connect(
	struct loop *loop, const struct conn_target *target, const struct conn_ops *ops, void *user, struct err *err);
/* TLS from here on, on a plain connection of ours with nothing queued: a proxy has tunnelled it to host.  on_open comes again. */
void conn_start_tls(struct conn *conn, struct tls_client *tls, const char *host, int64_t timeout_ms, bool has_neighbours);
