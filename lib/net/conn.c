/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection.  It is made with a descriptor (accepted or connecting), opens, and ends once: conn_die marks it, and the loop's next turn calls on_close and
 * frees it, so no callback ever returns into freed memory.  A connection whose handshake is with a worker outlives its death until the worker
 * gives it back.
 *
 * Closing in order has a tail: closing a socket while the peer is still sending resets it, and the reset may overtake our last words (the refusal, of all things).  So an
 * accepted connection says its end, and its socket waits a moment for the peer's, after on_close and without the TLS state. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/conn_inside.h"
#include "net/strand_inside.h"

#define WRITE_MAX (4 * 1024 * 1024)
#define FLUSH_TIMEOUT_MS 10000
#define LINGER_TIMEOUT_MS 1000

const struct conn_ops conn_silent_ops = { 0 };

void
conn_phase_end(struct conn *conn)
{
	if (!conn->phase)
		return;
	timer_cancel(&conn->phase->timer);
	if (conn->phase->found)
		freeaddrinfo(conn->phase->found);
	mem_free(conn->phase);
	conn->phase = NULL;
}

static void
free_tls(struct conn *conn)
{
	tls_free(conn->ssl);
	conn->ssl = NULL;
}

static void
free_framing(struct conn *conn)
{
	if (conn->framing)
		conn->framing->ops->free(conn->framing);
	conn->framing = NULL;
}

static void
end(struct conn *conn)
{
	watch_clear(&conn->watch);
	if (conn->ops->on_close)
		conn->ops->on_close(conn, conn->why ? conn->why : "");
	loop_remove_conn(conn->loop, conn->id);
	loop_forget_later(conn->loop, &conn->later);
	if (conn->strand)
		strand_end(conn);
	if (conn->listener)
		listener_conn_closed(conn->listener, conn);
	conn_phase_end(conn);
	free_tls(conn);
	if (conn->watch.fd >= 0)
		close(conn->watch.fd);
	if (conn->process && conn->process->pidfd >= 0)
		close(conn->process->pidfd);
	verdict_free(conn->verdict);
	free_framing(conn);
	buf_wipe(&conn->in);
	buf_wipe(&conn->out);
	mem_free(conn->process);
	mem_free(conn->why);
	mem_free(conn);
}

static void
on_turn(struct later *later)
{
	struct conn *conn = CONTAINER_OF(later, struct conn, later);

	if (conn->state == CONN_DEAD)
		end(conn);
	else if (conn->strand)
		strand_turn(conn);
	else
		conn_io_turn(conn);
}

static void
on_ready(struct watch *watch, unsigned what)
{
	struct conn *conn = CONTAINER_OF(watch, struct conn, watch);

	switch (conn->state) {
	case CONN_CONNECTING:
		conn_connect_ready(conn);
		return;
	case CONN_HANDSHAKE:
		conn_handshake_step(conn);
		return;
	case CONN_OPEN:
	case CONN_FLUSHING:
		conn_io_ready(conn, what);
		return;
	case CONN_LINGERING:
		conn_linger_ready(conn);
		return;
	case CONN_COMPUTING:
	case CONN_DEAD:
		return;
	}
}

static void
on_timeout(struct timer *timer)
{
	struct conn *conn = CONTAINER_OF(timer, struct conn_phase, timer)->conn;

	switch (conn->state) {
	case CONN_CONNECTING:
		conn_connect_late(conn);
		return;
	case CONN_HANDSHAKE:
	case CONN_COMPUTING:
		conn_die(conn, "the TLS handshake took too long");
		return;
	case CONN_FLUSHING:
		conn_die(conn, "the peer does not read what was sent");
		return;
	case CONN_OPEN:
	case CONN_LINGERING:
	case CONN_DEAD:
		conn_die(conn, "");
	}
}

void
conn_phase_start(struct conn *conn, int64_t timeout_ms)
{
	if (!conn->phase) {
		conn->phase = NEW(conn_phase);
		conn->phase->conn = conn;
		timer_init(&conn->phase->timer, conn->loop, on_timeout);
	}
	conn->phase->deadline_ms = clock_boot_ms() + timeout_ms;
	timer_arm(&conn->phase->timer, timeout_ms);
}

struct conn *
conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *user)
{
	struct conn *conn = NEW(conn);

	conn->loop = loop;
	conn->later.run = on_turn;
	conn->state = CONN_CONNECTING;
	conn->id = loop_add_conn(loop, conn);
	conn_switch_ops(conn, ops, user);
	watch_init(&conn->watch, loop, fd, on_ready);
	return conn;
}

/* Addresses are kept in one form, IPv4 as mapped. */
void
conn_keep_peer(struct conn *conn, const struct sockaddr_storage *address)
{
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	if (address->ss_family == AF_INET6) {
		memcpy(&v6, address, sizeof(v6));
		conn->peer = v6.sin6_addr;
		conn->peer_port = ntohs(v6.sin6_port);
	} else if (address->ss_family == AF_INET) {
		memcpy(&v4, address, sizeof(v4));
		conn->peer = (struct in6_addr){ .s6_addr[10] = 0xff, .s6_addr[11] = 0xff };
		memcpy(conn->peer.s6_addr + 12, &v4.sin_addr, 4);
		conn->peer_port = ntohs(v4.sin_port);
	}
	conn->has_peer = address->ss_family == AF_INET6 || address->ss_family == AF_INET;
}

void
conn_opened(struct conn *conn)
{
	conn_phase_end(conn);
	conn->state = CONN_OPEN;
	if (conn->ops->on_open)
		conn->ops->on_open(conn);
	/* The last flight of a handshake may have brought data, which no descriptor will announce. */
	conn->read_more = conn->read_more || conn_io_has_pending(conn);
	if (conn->state != CONN_DEAD)
		loop_later(conn->loop, &conn->later);
}

void
conn_start(struct conn *conn, struct pool *handshakes, int64_t timeout_ms)
{
	if (!conn->ssl) {
		conn_opened(conn);
		return;
	}
	conn_phase_start(conn, timeout_ms);
	conn->phase->pool = handshakes;
	SSL_set_fd(conn->ssl, conn->watch.fd);
	conn->state = CONN_HANDSHAKE;
	watch_set(&conn->watch, WATCH_READ); /* nothing to do before the client's first flight is here */
}

/* -- The end ------------------------------------------------------------------------------------------------------------------------ */

void
conn_die(struct conn *conn, const char *why)
{
	if (conn->state == CONN_DEAD)
		return;
	if (!conn->why)
		conn->why = mem_text(why);
	if (conn->state == CONN_COMPUTING)
		return; /* a worker holds the SSL: conn_handshake.c ends it when it is back */
	conn->state = CONN_DEAD;
	watch_set(&conn->watch, 0);
	loop_later(conn->loop, &conn->later);
}

void
conn_close(struct conn *conn, const char *why)
{
	if (conn->state == CONN_FLUSHING || conn->state == CONN_LINGERING)
		return;
	if (conn->state != CONN_OPEN) {
		conn_die(conn, why);
		return;
	}
	if (conn->framing)
		conn->framing->ops->end(conn->framing, &conn->out);
	conn->state = CONN_FLUSHING;
	if (!conn->why)
		conn->why = mem_text(why);
	conn_phase_start(conn, FLUSH_TIMEOUT_MS);
	loop_later(conn->loop, &conn->later);
}

void
conn_flushed(struct conn *conn)
{
	if (conn->ssl && SSL_get_shutdown(conn->ssl) == 0)
		SSL_shutdown(conn->ssl); /* close_notify; the answer is not waited for */
	ERR_clear_error();
	if (!conn->listener || conn->peer_ended || shutdown(conn->watch.fd, SHUT_WR) < 0) {
		conn_die(conn, "");
		return;
	}
	conn->state = CONN_LINGERING;
	if (conn->ops->on_close)
		conn->ops->on_close(conn, conn->why);
	conn->ops = &conn_silent_ops;
	free_tls(conn);
	buf_wipe(&conn->in);
	conn_phase_start(conn, LINGER_TIMEOUT_MS);
	watch_set(&conn->watch, WATCH_READ);
}

void
conn_linger_ready(struct conn *conn)
{
	ssize_t n = recv(conn->watch.fd, loop_read_buffer(conn->loop), LOOP_READ_LEN, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_die(conn, "");
}

void
conn_abort(struct conn *conn, const char *why)
{
	conn_die(conn, why);
}

static void
abort_at_end(struct conn *conn)
{
	conn_die(conn, "the service is stopping");
}

void
conn_abort_all(struct loop *loop)
{
	loop_each_conn(loop, abort_at_end);
}

/* -- Questions and settings --------------------------------------------------------------------------------------------------------- */

void *
conn_user(const struct conn *conn)
{
	return conn->user;
}

void
conn_set_user(struct conn *conn, void *user)
{
	conn->user = user;
}

struct loop *
conn_loop(const struct conn *conn)
{
	return conn->loop;
}

uint64_t
conn_id(const struct conn *conn)
{
	return conn->id;
}

struct conn *
conn_find(struct loop *loop, uint64_t id)
{
	struct conn *conn = loop_find_conn(loop, id);

	return conn && conn->state < CONN_LINGERING ? conn : NULL;
}

void
conn_switch_ops(struct conn *conn, const struct conn_ops *ops, void *user)
{
	conn->ops = ops;
	conn->user = user;
	conn->in.max = buf_max(ops->read_max + LOOP_READ_LEN);
	conn->out.max = buf_max(ops->write_max ? ops->write_max : WRITE_MAX);
	conn->read_more = conn->read_more || conn->in.len > 0; /* what the one before has left */
	if (conn->read_more)
		loop_later(conn->loop, &conn->later);
}

/* What has arrived before lies in `in` still encoded; whoever calls this from inside of on_data has not even put it there yet. */
void
conn_set_framing(struct conn *conn, struct conn_framing *framing_take)
{
	free_framing(conn);
	conn->framing = framing_take;
	conn->in_is_raw = true;
}

const char *
conn_peer_name(const struct conn *conn)
{
	static __thread char name[INET6_ADDRSTRLEN + 8];
	char address[INET6_ADDRSTRLEN] = "?";

	if (!conn->has_peer)
		return "unix";
	inet_ntop(AF_INET6, &conn->peer, address, sizeof(address));
	snprintf(name, sizeof(name), IN6_IS_ADDR_V4MAPPED(&conn->peer) ? "%s:%d" : "[%s]:%d",
		IN6_IS_ADDR_V4MAPPED(&conn->peer) ? address + 7 : address, conn->peer_port);
	return name;
}

/* While a worker computes the handshake, nobody has shown anything yet. */
static bool
has_shown(const struct conn *conn)
{
	return conn->ssl && conn->state != CONN_COMPUTING;
}

struct certs
conn_peer_chain(const struct conn *conn)
{
	if (conn->strand)
		return strand_peer_chain(conn);
	return has_shown(conn) ? tls_peer_chain(conn->ssl) : (struct certs){ 0 };
}

struct cert *
conn_peer_leaf(const struct conn *conn)
{
	X509 *leaf = has_shown(conn) ? SSL_get0_peer_certificate(conn->ssl) : NULL;

	return leaf ? cert_from_x509(leaf) : NULL;
}

const char *
conn_sni(const struct conn *conn)
{
	return conn->ssl ? SSL_get_servername(conn->ssl, TLSEXT_NAMETYPE_host_name) : NULL;
}

bool
conn_resumed(const struct conn *conn)
{
	return conn->ssl && SSL_session_reused(conn->ssl);
}

const char *
conn_tls_version(const struct conn *conn)
{
	if (conn->strand)
		return strand_tls_version(conn);
	return conn->ssl ? SSL_get_version(conn->ssl) : NULL;
}

/* The first Finished of the handshake: the client's, but the server's where a session was resumed.  Ours is the server's side, or the client's. */
static size_t
tls_unique(const struct conn *conn, uint8_t out[static CONN_BINDING_MAX])
{
	bool of_client = !SSL_session_reused(conn->ssl);

	if (of_client == (SSL_is_server(conn->ssl) != 0))
		return SSL_get_peer_finished(conn->ssl, out, CONN_BINDING_MAX);
	return SSL_get_finished(conn->ssl, out, CONN_BINDING_MAX);
}

size_t
conn_channel_binding(const struct conn *conn, uint8_t out[static CONN_BINDING_MAX])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	const size_t len = 32;

	if (!conn->ssl)
		return 0;
	if (SSL_version(conn->ssl) < TLS1_3_VERSION)
		return tls_unique(conn, out);
	return SSL_export_keying_material(conn->ssl, out, len, label, sizeof(label) - 1, NULL, 0, 1) == 1 ? len : 0;
}

const struct verdict *
conn_verdict(const struct conn *conn)
{
	return conn->strand ? strand_verdict(conn) : conn->verdict;
}

bool
conn_peer_process(const struct conn *conn, struct peer_process *out)
{
	if (!conn->process)
		return false;
	*out = *conn->process;
	return true;
}

void
conn_allow_resumption(struct conn *conn, const char *identity)
{
	if (!conn->ssl)
		return;
	tls_drop_intermediates(conn->ssl); /* first: from here on the session is shared with other threads */
	tls_allow(conn->ssl, identity);
}

void
conn_refuse_resumption(struct conn *conn)
{
	if (!conn->ssl)
		return;
	tls_refuse(conn->ssl);
	tls_drop_intermediates(conn->ssl);
}
