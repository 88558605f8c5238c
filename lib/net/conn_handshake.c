/* SPDX-License-Identifier: Apache-2.0 */
/* TLS handshakes.  A step costs as much as 50 to 120 messages and may wait for a key in another process, so it runs on a pool where there is one: the connection is not watched while a
 * worker has it, and comes back to its loop with the result. */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "net/conn_inside.h"

/* One step, on whichever thread: what libssl said is kept for the loop. */
static void
compute(struct conn_phase *phase)
{
	SSL *ssl = phase->conn->ssl;
	char why[TLS_FAILURE_LEN];

	ERR_clear_error();
	errno = 0;
	phase->ssl_result = SSL_do_handshake(ssl);
	phase->ssl_error = phase->ssl_result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, phase->ssl_result);
	if (phase->ssl_error == SSL_ERROR_NONE || phase->ssl_error == SSL_ERROR_WANT_READ ||
		phase->ssl_error == SSL_ERROR_WANT_WRITE)
		return;
	tls_failure(phase->ssl_error, errno, why);
	snprintf(phase->why, sizeof(phase->why), "TLS: %s", why);
}

static void
after_step(struct conn *conn)
{
	switch (conn->phase->ssl_error) {
	case SSL_ERROR_NONE:
		watch_set(&conn->watch, 0);
		conn_opened(conn);
		return;
	case SSL_ERROR_WANT_READ:
		watch_set(&conn->watch, WATCH_READ);
		return;
	case SSL_ERROR_WANT_WRITE:
		watch_set(&conn->watch, WATCH_WRITE);
		return;
	default:
		conn_die(conn, conn->phase->why);
	}
}

static void
on_worker(struct job *job)
{
	compute(CONTAINER_OF(job, struct conn_phase, job));
}

static void
on_back(struct job *job)
{
	struct conn_phase *phase = CONTAINER_OF(job, struct conn_phase, job);
	struct conn *conn = phase->conn;

	loop_expect(conn->loop, -1);
	conn->state = CONN_HANDSHAKE;
	if (conn->why)
		conn_die(conn, ""); /* it died while the worker had it */
	else
		after_step(conn);
}

void
conn_handshake_step(struct conn *conn)
{
	struct conn_phase *phase = conn->phase;

	if (!phase->pool) {
		compute(phase);
		after_step(conn);
		return;
	}
	watch_set(&conn->watch, 0);
	phase->job = (struct job){ .run = on_worker, .done = on_back, .owner = loop_owner(conn->loop) };
	conn->state = CONN_COMPUTING;
	loop_expect(conn->loop, 1);
	if (pool_try(phase->pool, &phase->job))
		return;
	loop_expect(conn->loop, -1);
	conn->state = CONN_HANDSHAKE;
	conn_die(conn, "too many handshakes at a time");
}
