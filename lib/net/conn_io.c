/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a connection.  Reading goes into the loop's one buffer until the peer has no more, so that a burst of small packets is handed over as one piece; only an
 * unfinished piece is kept by the connection.  Writing is collected and done once a turn. */
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "net/conn_inside.h"

#define WRITE_HIGH (256 * 1024)
#define KEEP_OUT 2048 /* an output buffer up to this size is kept while the connection is busy */

enum io { IO_DONE, IO_AGAIN, IO_END };

static enum io
ssl_outcome(struct conn *conn, int result, bool writing)
{
	int error = SSL_get_error(conn->ssl, result);

	switch (error) {
	case SSL_ERROR_WANT_READ:
		return IO_AGAIN; /* level-triggered: it is watched anyhow */
	case SSL_ERROR_WANT_WRITE:
		conn->want_write = true;
		return IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		break;
	default:
		if (writing && !conn->why)
			conn->why = mem_text("the peer is gone");
		ERR_clear_error();
	}
	return IO_END;
}

static enum io
read_some(struct conn *conn, uint8_t *at, size_t room, size_t *got)
{
	ssize_t n;

	if (conn->ssl) {
		int result = SSL_read_ex(conn->ssl, at, room, got);

		return result == 1 ? IO_DONE : ssl_outcome(conn, result, false);
	}
	n = read(conn->fd, at, room);
	if (n > 0) {
		*got = (size_t)n;
		return IO_DONE;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return IO_AGAIN;
	return IO_END;
}

/* Give the protocol what is there; keep what it leaves.  False: the connection ended. */
static bool
hand_over(struct conn *conn, const uint8_t *data, size_t len)
{
	size_t used;

	if (conn->in.len > 0) {
		buf_put(&conn->in, data, len);
		if (conn->in.failed) {
			conn_die(conn, "more unfinished data than is accepted");
			return false;
		}
		data = conn->in.data;
		len = conn->in.len;
	}
	used = conn->ops->on_data(conn, data, len);
	if (used == CONN_BAD || conn->state == CONN_DEAD) {
		conn_die(conn, "");
		return false;
	}
	if (conn->in.len > 0)
		buf_drop(&conn->in, used);
	else if (used < len)
		buf_put(&conn->in, data + used, len - used);
	if (conn->in.len == 0)
		buf_clear(&conn->in);
	if (conn->in.len > conn->ops->read_max && !conn->paused) {
		conn_die(conn, "more unfinished data than is accepted");
		return false;
	}
	return true;
}

static bool
may_read(const struct conn *conn)
{
	return conn->state == CONN_OPEN && !conn->paused && conn->out.len <= (conn->ops->write_high ? conn->ops->write_high : WRITE_HIGH);
}

static void
do_read(struct conn *conn)
{
	uint8_t *buffer = loop_read_buffer(conn->loop);
	bool again = conn->read_more && conn->in.len > 0; /* the protocol had paused with some left */
	enum io io = IO_DONE;
	size_t len = 0, got;

	conn->read_more = false;
	while (len < LOOP_READ_LEN) {
		io = read_some(conn, buffer + len, LOOP_READ_LEN - len, &got);
		if (io != IO_DONE)
			break;
		len += got;
	}
	if ((len > 0 || again) && !hand_over(conn, buffer, len))
		return;
	if (io == IO_END) {
		conn_die(conn, "");
	} else if (io == IO_DONE) {
		/* The buffer was full: libssl may hold more, which no descriptor announces. */
		conn->read_more = true;
		loop_later(conn->loop, &conn->later);
	}
}

static enum io
write_some(struct conn *conn, size_t *put)
{
	ssize_t n;

	if (conn->ssl) {
		int result = SSL_write_ex(conn->ssl, conn->out.data, conn->out.len, put);

		return result == 1 ? IO_DONE : ssl_outcome(conn, result, true);
	}
	n = send(conn->fd, conn->out.data, conn->out.len, MSG_NOSIGNAL);
	if (n >= 0) {
		*put = (size_t)n;
		return IO_DONE;
	}
	if (errno != EAGAIN && errno != EINTR)
		return IO_END;
	conn->want_write = true;
	return IO_AGAIN;
}

void
conn_io_flush(struct conn *conn)
{
	bool had = conn->out.len > 0;
	size_t put;

	conn->want_write = false;
	while (conn->out.len > 0) {
		enum io io = write_some(conn, &put);

		if (io == IO_AGAIN)
			return;
		if (io == IO_END) {
			conn_die(conn, "the peer is gone");
			return;
		}
		buf_drop(&conn->out, put);
	}
	if (conn->out.cap > KEEP_OUT || conn->state != CONN_OPEN)
		buf_clear(&conn->out);
	if (conn->state == CONN_FLUSHING) {
		if (conn->ssl && SSL_get_shutdown(conn->ssl) == 0)
			SSL_shutdown(conn->ssl); /* close_notify, once; the answer is not waited for */
		ERR_clear_error();
		conn_die(conn, "");
	} else if (had && conn->ops->on_drain) {
		conn->ops->on_drain(conn);
	}
}

void
conn_watch(struct conn *conn)
{
	unsigned what = 0;

	if (conn->state == CONN_DEAD || conn->state == CONN_COMPUTING)
		return;
	if (may_read(conn))
		what |= WATCH_READ;
	if (conn->want_write)
		what |= WATCH_WRITE;
	watch_set(&conn->watch, what);
}

void
conn_io_turn(struct conn *conn)
{
	if (conn->state != CONN_OPEN && conn->state != CONN_FLUSHING)
		return;
	if (conn->read_more && may_read(conn))
		do_read(conn);
	if (conn->state == CONN_OPEN || conn->state == CONN_FLUSHING)
		conn_io_flush(conn);
	if (conn->state == CONN_OPEN && conn->out.len == 0 && conn->out.cap > 0 && !conn->read_more)
		buf_clear(&conn->out); /* idle connections hold no buffers */
	conn_watch(conn);
}

void
conn_io_ready(struct conn *conn, unsigned what)
{
	if (conn->state == CONN_CONNECTING || conn->state == CONN_HANDSHAKE) {
		conn_handshake_step(conn);
		return;
	}
	if ((what & WATCH_READ) && may_read(conn))
		do_read(conn);
	if (conn->state == CONN_OPEN || conn->state == CONN_FLUSHING)
		loop_later(conn->loop, &conn->later);
}

void
conn_write(struct conn *conn, const void *data, size_t len)
{
	if (conn->state != CONN_OPEN)
		return;
	buf_put(&conn->out, data, len);
	if (conn->out.failed)
		conn_die(conn, "the peer reads too slowly");
	else
		loop_later(conn->loop, &conn->later);
}

size_t
conn_queued(const struct conn *conn)
{
	return conn->out.len;
}

void
conn_pause(struct conn *conn, bool paused)
{
	if (conn->paused == paused)
		return;
	conn->paused = paused;
	if (!paused)
		conn->read_more = true; /* what is buffered in libssl, or was left by the protocol, comes first */
	loop_later(conn->loop, &conn->later);
}
