/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: whole ones, streams, those from a source, and none but the connection itself.  They always go through the loop of the connection. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "net/conn_inside.h"
#include "net/http_channel.h"
#include "net/loop_inside.h"
#include "wire/json.h"

/* Does the connection outlive this answer? */
static bool
goes_on(const struct http_request *req)
{
	return req->keep_alive && !req->server->drained;
}

/* -- Whole --------------------------------------------------------------------------------------------------------------------------- */

static void
deliver(struct post *post)
{
	struct http_request *req = CONTAINER_OF(post, struct http_request, post);
	struct http_channel *s = http_channel_waiting(req);

	if (s) {
		conn_write(s->conn, req->answer.data, req->answer.len);
		if (!goes_on(req))
			conn_close(s->conn, "");
		s->req = NULL;
		http_request_unref(req);
		http_channel_next(s);
	}
	http_request_unref(req);
}

void
http_respond(struct http_request *req, int status, const char *const *headers, const void *body, size_t len)
{
	http_request_put_answer(&req->answer, status, headers, body, len, req->keep_alive, req->method == HTTP_HEAD);
	req->post.run = deliver;
	if (loop_is_mine(req->loop))
		deliver(&req->post);
	else
		loop_post(req->loop, &req->post);
}

void
http_respond_json(struct http_request *req, int status, const char *const *headers, json_t *body_take)
{
	const char *with_type[16] = { "Content-Type: application/json; charset=utf-8" };
	OWN_TEXT text = json_line(body_take);

	for (size_t i = 0; headers && headers[i] && i + 2 < COUNT(with_type); i++)
		with_type[i + 1] = headers[i];
	http_respond(req, status, with_type, text, strlen(text));
	json_decref(body_take);
}

/* -- Streams ------------------------------------------------------------------------------------------------------------------------- */

bool
http_stream_begin(struct http_request *req, int status, const char *const *headers, const struct http_stream_ops *ops, void *arg)
{
	struct http_channel *s = http_channel_waiting(req);
	struct buf head = BUF_INIT(HTTP_HEADERS_MAX);

	assert(loop_is_mine(req->loop));
	if (!s || req->method == HTTP_HEAD) {
		http_respond(req, status, headers, NULL, 0);
		return false;
	}
	req->stream = ops;
	req->stream_arg = arg;
	http_request_put_head(&head, status, headers, req->may_chunk);
	conn_write(s->conn, head.data, head.len);
	buf_clear(&head);
	conn_pause(s->conn, false); /* or nobody would notice that the peer has gone */
	return true;
}

void
http_stream_write(struct http_request *req, const void *data, size_t len)
{
	struct http_channel *s = http_channel_waiting(req);
	char size[24];

	if (!s || len == 0) /* a chunk without anything would be the end */
		return;
	if (!req->may_chunk) {
		conn_write(s->conn, data, len);
		return;
	}
	conn_write(s->conn, size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", len));
	conn_write(s->conn, data, len);
	conn_write(s->conn, "\r\n", 2);
}

static void
finish_stream(struct http_request *req, struct http_channel *s)
{
	req->stream = NULL; /* a connection that is dead but not closed yet has nobody to tell any more */
	if (s) {
		s->req = NULL;
		http_request_unref(req);
	}
	http_request_unref(req);
}

void
http_stream_end(struct http_request *req)
{
	struct http_channel *s = http_channel_waiting(req);

	if (s && req->may_chunk)
		conn_write(s->conn, "0\r\n\r\n", 5);
	if (s && !goes_on(req))
		conn_close(s->conn, "");
	if (s) {
		conn_pause(s->conn, true); /* so that what came meanwhile is handed over again */
		http_channel_next(s);
	}
	finish_stream(req, s);
}

void
http_stream_abort(struct http_request *req, const char *why)
{
	struct http_channel *s = http_channel_waiting(req);

	if (s)
		conn_abort(s->conn, why);
	finish_stream(req, s);
}

/* -- From a source -------------------------------------------------------------------------------------------------------------------- */

static void
end_answer(struct http_channel *s)
{
	struct http_request *req = s->req;

	if (!goes_on(req))
		conn_close(s->conn, "");
	s->req = NULL;
	http_channel_next(s);
	http_request_unref(req);
}

static void
read_from_source(struct job *job)
{
	struct http_request *req = CONTAINER_OF(job, struct http_request, job);
	size_t len = req->source->len < HTTP_STREAM_PIECE ? (size_t)req->source->len : HTTP_STREAM_PIECE;
	uint8_t *piece = mem_new(len);

	req->source_failed = req->source->read(req->source, piece, len) < 0;
	req->source->len -= len;
	buf_put(&req->answer, piece, len);
	mem_free(piece);
}

static void
on_read_from_source(struct job *job)
{
	struct http_request *req = CONTAINER_OF(job, struct http_request, job);
	struct http_channel *s = http_channel_waiting(req);

	if (s && req->source_failed) {
		conn_abort(s->conn, "what was being answered can't be read");
	} else if (s) {
		s->streaming = false;
		conn_write(s->conn, req->answer.data, req->answer.len);
		timer_arm(&s->timer, HTTP_READ_TIMEOUT_MS);
		if (req->source->len == 0)
			end_answer(s);
	}
	buf_clear(&req->answer);
	http_request_unref(req);
}

void
http_channel_read_source(struct http_channel *s)
{
	if (!s->req || !s->req->source || s->streaming)
		return;
	timer_cancel(&s->timer); /* a slow disk is not the client's fault */
	s->streaming = http_request_do_piece(s->req, read_from_source, on_read_from_source);
	if (!s->streaming)
		conn_abort(s->conn, "too many requests at a time");
}

void
http_respond_from(struct http_request *req, int status, const char *const *headers, struct http_source *source_take)
{
	struct http_channel *s = http_channel_waiting(req);
	struct buf head = BUF_INIT(HTTP_HEADERS_MAX);

	req->source = source_take;
	if (s) {
		http_request_put_answer(&head, status, headers, NULL, source_take->len, req->keep_alive, true);
		conn_write(s->conn, head.data, head.len); /* once that is out, on_drain goes on */
		timer_arm(&s->timer, HTTP_READ_TIMEOUT_MS);
		if (source_take->len == 0 || req->method == HTTP_HEAD)
			end_answer(s);
	}
	buf_clear(&head);
	http_request_unref(req);
}

/* -- Away from HTTP ------------------------------------------------------------------------------------------------------------------- */

bool
http_wants_upgrade(const struct http_request *req, const char *protocol)
{
	return req->upgrade && text_is_nocase(http_header(req, "upgrade"), protocol);
}

struct conn *
http_switch(struct http_request *req, const char *const *headers)
{
	struct http_channel *s = http_channel_waiting(req);
	struct conn *conn = s ? s->conn : NULL;
	struct buf out = BUF_INIT(4096);

	if (s) {
		http_request_put_answer(&out, HTTP_STATUS_SWITCHING_PROTOCOLS, headers, NULL, 0, true, false);
		conn_write(conn, out.data, out.len);
		http_channel_free(s);
		conn_pause(conn, false);
	}
	http_request_unref(req);
	buf_clear(&out);
	return conn;
}
