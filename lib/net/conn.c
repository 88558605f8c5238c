/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection.  It is made with a descriptor (accepted or connecting), opens, and dies once: conn_die marks it, and the loop's next turn calls on_close and
 * frees it, so no callback ever returns into freed memory.  A connection whose handshake is with a worker outlives its death until the worker
 * gives it back. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/conn_inside.h"

static void
end(struct conn *conn)
{
	const char *why = conn->why ? conn->why : "";

	watch_clear(&conn->watch);
	if (conn->ops->on_close)
		conn->ops->on_close(conn, why);
	loop_remove_conn(conn->loop, conn->id);
	loop_forget_later(conn->loop, &conn->later);
	if (conn->listener)
		listener_conn_closed(conn->listener, conn);
	if (conn->opening) {
		timer_cancel(&conn->opening->timer);
		mem_free(conn->opening);
	}
	tls_free(conn->ssl);
	if (conn->fd >= 0)
		close(conn->fd);
	if (conn->pidfd >= 0)
		close(conn->pidfd);
	verdict_free(conn->verdict);
	buf_wipe(&conn->in);
	buf_clear(&conn->out);
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
	else
		conn_io_turn(conn);
}

static void
on_ready(struct watch *watch, unsigned what)
{
	struct conn *conn = CONTAINER_OF(watch, struct conn, watch);

	conn_io_ready(conn, what);
}

struct conn *
conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *user)
{
	struct conn *conn = NEW(conn);

	conn->loop = loop;
	conn->fd = fd;
	conn->pidfd = -1;
	conn->ops = ops;
	conn->user = user;
	conn->in.max = ops->read_max + LOOP_READ_LEN;
	conn->out.max = ops->write_max ? ops->write_max : 4 * 1024 * 1024;
	conn->later.run = on_turn;
	conn->state = CONN_CONNECTING;
	conn->id = loop_add_conn(loop, conn);
	watch_init(&conn->watch, loop, fd, on_ready);
	return conn;
}

void
conn_die(struct conn *conn, const char *why)
{
	if (conn->state == CONN_DEAD)
		return;
	if (conn->state == CONN_COMPUTING) {
		/* A worker holds the SSL: it is given back first (conn_handshake.c). */
		if (!conn->why)
			conn->why = mem_text(why);
		return;
	}
	conn->state = CONN_DEAD;
	watch_set(&conn->watch, 0);
	if (!conn->why)
		conn->why = mem_text(why);
	loop_later(conn->loop, &conn->later);
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

void
conn_close(struct conn *conn, const char *why)
{
	if (conn->state != CONN_OPEN) {
		if (conn->state != CONN_FLUSHING)
			conn_die(conn, why);
		return;
	}
	conn->state = CONN_FLUSHING;
	conn->why = mem_text(why);
	loop_later(conn->loop, &conn->later);
}

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

	return conn && conn->state != CONN_DEAD ? conn : NULL;
}

void
conn_switch_ops(struct conn *conn, const struct conn_ops *ops, void *user)
{
	conn->ops = ops;
	conn->user = user;
	conn->in.max = ops->read_max + LOOP_READ_LEN;
}

const char *
conn_peer_name(const struct conn *conn)
{
	static __thread char name[INET6_ADDRSTRLEN + 8];
	char address[INET6_ADDRSTRLEN] = "?";

	if (conn->peer.sin6_family == 0)
		return "unix";
	inet_ntop(AF_INET6, &conn->peer.sin6_addr, address, sizeof(address));
	snprintf(name, sizeof(name), IN6_IS_ADDR_V4MAPPED(&conn->peer.sin6_addr) ? "%s:%d" : "[%s]:%d",
		IN6_IS_ADDR_V4MAPPED(&conn->peer.sin6_addr) ? address + 7 : address, ntohs(conn->peer.sin6_port));
	return name;
}

struct certs
conn_peer_chain(const struct conn *conn)
{
	return conn->ssl ? tls_peer_chain(conn->ssl) : (struct certs){ 0 };
}

struct cert *
conn_peer_leaf(const struct conn *conn)
{
	X509 *leaf = conn->ssl ? SSL_get0_peer_certificate(conn->ssl) : NULL;

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
	return conn->ssl ? SSL_get_version(conn->ssl) : NULL;
}

const struct verdict *
conn_verdict(const struct conn *conn)
{
	return conn->verdict;
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
	tls_allow(conn->ssl, identity);
	tls_drop_intermediates(conn->ssl);
}

void
conn_refuse_resumption(struct conn *conn)
{
	if (!conn->ssl)
		return;
	tls_refuse(conn->ssl);
	tls_drop_intermediates(conn->ssl);
}

const char *
conn_resumed_identity(const struct conn *conn)
{
	return conn->ssl ? tls_resumed_identity(conn->ssl) : NULL;
}
