/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a connection.  Reading goes into the loop's one buffer as long as more is likely to be there, so that a burst of small packets is handed over as one piece; only
 * an unfinished piece is kept by the connection.  Writing is collected and done once a turn.
 *
 * Who ends the connection with a reset has often said why before, and a write of ours may be the first to hear of the reset.  So a write that fails ends the writing only: what has
 * arrived (a DISCONNECT, of all things) is still read and handed over, as far as there is any, and for a limited time. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "net/conn_inside.h"
#include "net/strand_inside.h"

#define WRITE_HIGH (256 * 1024)
#define HEAR_OUT_MS 10000
#define BURST 8192 /* who sent this much has probably sent more; below, the system call that finds nothing is saved */

enum io { IO_DONE, IO_AGAIN, IO_END, IO_BROKEN };

/* libssl takes whatever lies in the thread's error queue for its own. */
static void
forget_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

static enum io
broken(struct conn *conn, const char *why)
{
	if (!conn->why)
		conn->why = mem_text(why);
	return IO_BROKEN;
}

static enum io
ssl_outcome(struct conn *conn, int result)
{
	int number = errno, error = SSL_get_error(conn->ssl, result);
	char why[TLS_FAILURE_LEN];

	switch (error) {
	case SSL_ERROR_WANT_READ:
		return IO_AGAIN; /* level-triggered: it is watched anyhow */
	case SSL_ERROR_WANT_WRITE:
		conn->want_write = true;
		return IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return IO_END;
	case SSL_ERROR_SYSCALL:
		return broken(conn, number != 0 ? strerror(number) : "the peer is gone");
	default:
		tls_failure(error, number, why);
		return broken(conn, why);
	}
}

static enum io
read_some(struct conn *conn, uint8_t *at, size_t room, size_t *got)
{
	ssize_t n;

	if (conn->ssl) {
		forget_errors();
		errno = 0;
		return SSL_read_ex(conn->ssl, at, room, got) == 1 ? IO_DONE : ssl_outcome(conn, 0);
	}
	n = read(conn->watch.fd, at, room);
	if (n > 0) {
		*got = (size_t)n;
		return IO_DONE;
	}
	if (n == 0)
		return IO_END;
	return errno == EAGAIN || errno == EINTR ? IO_AGAIN : broken(conn, strerror(errno));
}

bool
conn_io_has_pending(const struct conn *conn)
{
	return conn->ssl && SSL_has_pending(conn->ssl);
}

static enum io
read_burst(struct conn *conn, uint8_t *buffer, size_t *len)
{
	enum io io;
	size_t got;

	do {
		io = read_some(conn, buffer + *len, LOOP_READ_LEN - *len, &got);
		if (io != IO_DONE)
			return io;
		*len += got;
	} while (*len < LOOP_READ_LEN && (*len >= BURST || conn_io_has_pending(conn)));
	return IO_DONE;
}

bool
conn_io_hand_over(struct conn *conn, const uint8_t *data, size_t len)
{
	bool kept = conn->in.len > 0;
	size_t used;

	if (kept) {
		buf_put(&conn->in, data, len);
		data = conn->in.data;
		len = conn->in.len;
	}
	used = conn->ops->on_data(conn, data, len);
	if (conn->state != CONN_OPEN)
		return false;
	if (used == CONN_BAD) {
		conn_die(conn, "the protocol was broken");
		return false;
	}
	if (kept)
		buf_drop(&conn->in, used);
	else if (used < len)
		buf_put(&conn->in, data + used, len - used);
	if (conn->in.len == 0)
		buf_clear(&conn->in);
	if (conn->in.failed || (conn->in.len > conn->ops->read_max && !conn->paused && !conn->read_more)) {
		conn_die(conn, "more unfinished data than is accepted");
		return false;
	}
	return true;
}

bool
conn_io_may_read(const struct conn *conn)
{
	return conn->state == CONN_OPEN && !conn->paused &&
	       conn->out.len <= (conn->ops->write_high ? conn->ops->write_high : WRITE_HIGH);
}

/* Take the framing off, in place. */
static size_t
unframe(struct conn *conn, uint8_t *data, size_t len)
{
	if (!conn->framing || len == 0)
		return len;
	len = conn->framing->ops->decode(conn->framing, data, len, &conn->out);
	if (conn->out.failed)
		conn_die(conn, "the peer reads too slowly");
	return len;
}

static void
unframe_kept(struct conn *conn)
{
	if (!conn->in_is_raw)
		return;
	conn->in_is_raw = false;
	buf_cut(&conn->in, unframe(conn, conn->in.data, conn->in.len));
	if (conn->in.len == 0)
		buf_clear(&conn->in);
}

/* The protocol has left some for later, and the end is not before it has had that. */
static bool
is_to_go_on(const struct conn *conn)
{
	return conn->paused && conn->in.len > 0;
}

/* After its last content was handed over. */
static void
end_framing(struct conn *conn)
{
	if (conn->framing && conn->framing->ended && !is_to_go_on(conn))
		conn_close(conn, conn->framing->ended);
}

static void
do_read(struct conn *conn)
{
	bool again;
	enum io io;
	size_t len = 0;

	unframe_kept(conn);
	again = conn->read_more && conn->in.len > 0;
	/* First what the protocol left when it paused: with more on top of it, it might not fit. */
	conn->read_more = false;
	if (again && !conn_io_hand_over(conn, NULL, 0))
		return;
	end_framing(conn);
	if (!conn_io_may_read(conn))
		conn->read_more = true;
	if (conn->read_more)
		return;
	io = read_burst(conn, loop_read_buffer(conn->loop), &len);
	conn->read_more = io == IO_DONE && (conn->is_mute || conn_io_has_pending(conn));
	len = unframe(conn, loop_read_buffer(conn->loop), len);
	if (len > 0 && !conn_io_hand_over(conn, loop_read_buffer(conn->loop), len))
		return;
	end_framing(conn);
	if (is_to_go_on(conn) && (io == IO_END || io == IO_BROKEN)) {
		conn->read_more = true; /* which is found again then */
	} else if (io == IO_END) {
		conn->peer_ended = true;
		conn_close(conn, ""); /* it may still read: what is queued goes out */
	} else if (io == IO_BROKEN || (io == IO_AGAIN && conn->is_mute)) {
		conn_die(conn, "");
	}
}

static enum io
write_some(struct conn *conn, const uint8_t *data, size_t len, size_t *put)
{
	ssize_t n;

	if (conn->ssl) {
		forget_errors();
		errno = 0;
		return SSL_write_ex(conn->ssl, data, len, put) == 1 ? IO_DONE : ssl_outcome(conn, 0);
	}
	n = send(conn->watch.fd, data, len, MSG_NOSIGNAL);
	if (n >= 0) {
		*put = (size_t)n;
		return IO_DONE;
	}
	if (errno != EAGAIN && errno != EINTR)
		return broken(conn, strerror(errno));
	conn->want_write = true;
	return IO_AGAIN;
}

/* Nothing reaches the peer any more. */
static void
fall_mute(struct conn *conn)
{
	buf_clear(&conn->out);
	if (conn->state != CONN_OPEN) {
		conn_die(conn, "");
		return;
	}
	conn->is_mute = conn->read_more = true;
	conn_phase_start(conn, HEAR_OUT_MS);
}

static void
let_go(struct conn *conn)
{
	if (conn->out.cap > conn->ops->write_kept)
		buf_clear(&conn->out);
	else
		buf_reset(&conn->out);
}

/* Send what is queued.  False: the peer does not take all of it now, or never will. */
static bool
flush(struct conn *conn)
{
	enum io io = IO_DONE;
	size_t done = 0, put = 0;
	bool with_ticket = conn->ssl && SSL_in_init(conn->ssl);

	if (conn->is_mute)
		buf_clear(&conn->out); /* what a framing has answered */
	conn->want_write = false;
	while (done < conn->out.len && io == IO_DONE) {
		io = write_some(conn, conn->out.data + done, conn->out.len - done, &put);
		if (io == IO_DONE)
			done += put;
	}
	if (done == conn->out.len) {
		let_go(conn);
		/* For a ticket libssl sets up its read buffer as well, and lets go of it at a read that finds nothing. */
		conn->read_more = conn->read_more || with_ticket;
		return true;
	}
	buf_drop(&conn->out, done);
	if (io != IO_AGAIN)
		fall_mute(conn);
	return false;
}

static void
write_turn(struct conn *conn)
{
	bool had = conn->out.len > 0;
	bool is_flushed = flush(conn);

	if (!is_flushed && conn->out.len >= conn->ops->drained_below)
		return;
	if (conn->state == CONN_FLUSHING && is_flushed)
		conn_flushed(conn);
	else if (conn->state == CONN_OPEN && had && conn->ops->on_drain)
		conn->ops->on_drain(conn);
}

static void
watch(struct conn *conn)
{
	watch_set(&conn->watch, (conn_io_may_read(conn) ? WATCH_READ : 0u) | (conn->want_write ? WATCH_WRITE : 0u));
}

void
conn_io_turn(struct conn *conn)
{
	if (conn->read_more && conn_io_may_read(conn))
		do_read(conn);
	if (conn->state == CONN_OPEN || conn->state == CONN_FLUSHING)
		write_turn(conn);
	if (conn->state != CONN_OPEN && conn->state != CONN_FLUSHING)
		return;
	if (conn->read_more && conn_io_may_read(conn))
		loop_later(conn->loop, &conn->later); /* no descriptor will announce it */
	watch(conn);
}

/* What is queued, paused or closed meanwhile asks for its turn by itself; a message that is only on its way to the disk needs none. */
void
conn_io_ready(struct conn *conn, unsigned what)
{
	if ((what & WATCH_READ) && conn_io_may_read(conn))
		do_read(conn);
	if (conn->state != CONN_OPEN && conn->state != CONN_FLUSHING)
		return;
	if (conn->out.len > 0 || conn->read_more || conn->want_write || !conn_io_may_read(conn))
		loop_later(conn->loop, &conn->later);
}

void
conn_io_written(struct conn *conn)
{
	if (conn->out.failed)
		conn_die(conn, "the peer reads too slowly");
	else
		loop_later(conn->loop, &conn->later);
}

void
conn_write(struct conn *conn, const void *data, size_t len)
{
	if (conn->state != CONN_OPEN || conn->is_mute)
		return;
	if (conn->strand) {
		strand_write(conn, data, len);
		return;
	}
	if (conn->framing)
		conn->framing->ops->encode(conn->framing, &conn->out, data, len);
	else
		buf_put(&conn->out, data, len);
	conn_io_written(conn);
}

bool
conn_is_hung_up(const struct conn *conn)
{
	struct pollfd fd = { .fd = conn->watch.fd, .events = POLLRDHUP };

	if (conn->strand)
		return strand_is_hung_up(conn);
	return poll(&fd, 1, 0) == 1 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
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
		conn->read_more = true; /* what the protocol left, or libssl holds, comes without an announcement */
	loop_later(conn->loop, &conn->later);
}
