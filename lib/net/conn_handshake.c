/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a connection: TCP for clients, then TLS.  A handshake step costs as much as 50 to 120 messages and may wait for a key in another process, so servers run it on the
 * pool: the connection is not watched while a worker has it, and comes back to its loop with the result. */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "net/conn_inside.h"

static void
on_timeout(struct timer *timer)
{
	struct conn_opening *opening = CONTAINER_OF(timer, struct conn_opening, timer);

	conn_die(opening->conn, opening->conn->state == CONN_CONNECTING ? "no answer in time" : "the TLS handshake took too long");
}

/* One step, on whichever thread: what libssl said is kept for the loop. */
static void
compute(struct conn_opening *opening)
{
	SSL *ssl = opening->conn->ssl;
	unsigned long code;

	ERR_clear_error();
	opening->ssl_result = SSL_do_handshake(ssl);
	opening->ssl_error = opening->ssl_result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, opening->ssl_result);
	if (opening->ssl_error != SSL_ERROR_SSL && opening->ssl_error != SSL_ERROR_SYSCALL)
		return;
	code = ERR_peek_error();
	snprintf(opening->why, sizeof(opening->why), "TLS: %s", code && ERR_reason_error_string(code) ? ERR_reason_error_string(code) : "the peer closed during the handshake");
	ERR_clear_error();
}

void
conn_opened(struct conn *conn)
{
	if (conn->opening) {
		timer_cancel(&conn->opening->timer);
		mem_free(conn->opening);
		conn->opening = NULL;
	}
	conn->state = CONN_OPEN;
	if (conn->ops->on_open)
		conn->ops->on_open(conn);
	/* The last flight of a handshake may have brought data that no descriptor will announce. */
	conn->read_more = true;
	if (conn->state != CONN_DEAD)
		loop_later(conn->loop, &conn->later);
}

static void
after_step(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;

	switch (opening->ssl_error) {
	case SSL_ERROR_NONE:
		conn_opened(conn);
		return;
	case SSL_ERROR_WANT_READ:
		watch_set(&conn->watch, WATCH_READ);
		return;
	case SSL_ERROR_WANT_WRITE:
		watch_set(&conn->watch, WATCH_WRITE);
		return;
	default:
		conn_die(conn, opening->why);
	}
}

static void
on_worker(struct job *job)
{
	compute(CONTAINER_OF(job, struct conn_opening, job));
}

static void
on_back(struct job *job)
{
	struct conn_opening *opening = CONTAINER_OF(job, struct conn_opening, job);
	struct conn *conn = opening->conn;

	conn->state = CONN_HANDSHAKE;
	if (conn->why)
		conn_die(conn, ""); /* it died while the worker had it */
	else
		after_step(conn);
}

static void
tls_step(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;

	conn->state = CONN_HANDSHAKE;
	if (!opening->pool) {
		compute(opening);
		after_step(conn);
		return;
	}
	watch_set(&conn->watch, 0);
	opening->job = (struct job){ .run = on_worker, .done = on_back, .owner = loop_owner(conn->loop) };
	conn->state = CONN_COMPUTING;
	if (pool_try(opening->pool, &opening->job))
		return;
	conn->state = CONN_HANDSHAKE;
	conn_die(conn, "too many handshakes at a time");
}

static void
tcp_step(struct conn *conn)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		conn_die(conn, strerror(error));
		return;
	}
	watch_set(&conn->watch, 0);
	if (conn->ssl)
		tls_step(conn);
	else
		conn_opened(conn);
}

void
conn_handshake_step(struct conn *conn)
{
	if (conn->state == CONN_CONNECTING)
		tcp_step(conn);
	else
		tls_step(conn);
}

void
conn_start(struct conn *conn, struct pool *handshakes, int64_t timeout_ms)
{
	if (!conn->opening) {
		conn->opening = NEW(conn_opening);
		conn->opening->conn = conn;
		timer_init(&conn->opening->timer, conn->loop, on_timeout);
		timer_arm(&conn->opening->timer, timeout_ms);
	}
	conn->opening->pool = handshakes;
	if (!conn->ssl) {
		conn_opened(conn);
		return;
	}
	SSL_set_fd(conn->ssl, conn->fd);
	conn->state = CONN_HANDSHAKE;
	/* A server has nothing to do before the first flight of the client came. */
	if (SSL_is_server(conn->ssl))
		watch_set(&conn->watch, WATCH_READ);
	else
		tls_step(conn);
}
