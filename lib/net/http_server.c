/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 on connections: the screen looks at each byte (http_screen.h), http-parser reads, one request at a time is handed to the handler, on the loop or on the pool.
 *
 * A request is shared by the connection and whoever answers it, and is freed when both are done.  The answer always goes through the loop of the connection, so a handler on a
 * worker needs to know nothing of threads. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <http_parser.h>

#include "base/mem.h"
#include "base/text.h"
#include "net/conn_inside.h"
#include "net/http_request.h"
#include "net/http_screen.h"
#include "net/loop_inside.h"
#include "wire/json.h"

#define BODY_MAX (1024 * 1024)
#define BODIES_MAX ((size_t)256 * 1024 * 1024)
#define BODY_SMALL (16 * 1024) /* as much as a head costs */
#define READ_TIMEOUT_MS 30000
#define IDLE_TIMEOUT_MS 120000
#define READ_MAX 131072
#define STREAM_PIECE (256 * 1024) /* at least this much, or the end, comes within READ_TIMEOUT_MS */

struct http_server {
	struct http_server_config config;
	atomic_size_t bodies; /* in memory */
	atomic_size_t n_sessions;
	void (*drained)(void *arg); /* set: the service is ending */
	void *drained_arg;
};

/* Where a connection is. */
enum http_session_state { READING_HEAD, READING_LENGTH, READING_CHUNKS, ANSWERING };

/* A connection's state. */
struct http_session {
	struct http_server *server;
	struct conn *conn;
	struct http_screen screen;
	http_parser parser;
	struct http_request *req; /* being read, or being answered */
	struct buf url, name, value;
	size_t headers_len;
	void *kept; /* the handler's, with how to release it */
	void (*release)(void *kept);
	struct timer timer;
	enum http_session_state state;
	bool in_value;
	bool streaming; /* a worker has a piece */
	int refuse;	/* a status to answer instead of handling */
};

/* -- Answers ------------------------------------------------------------------------------------------------------------------------ */

/* The next request, which may lie here already, is read. */
static void
session_next(struct http_session *s)
{
	s->state = READING_HEAD;
	http_screen_init(&s->screen);
	timer_arm(&s->timer, IDLE_TIMEOUT_MS);
	conn_pause(s->conn, false);
}

/* The connection that still waits for this answer, or NULL. */
static struct http_session *
session_waiting(const struct http_request *req)
{
	struct conn *conn = conn_find(req->loop, req->conn_id);
	struct http_session *s = conn ? conn_user(conn) : NULL;

	return s && s->req == req ? s : NULL;
}

/* Does the connection outlive this answer? */
static bool
goes_on(const struct http_request *req)
{
	return req->keep_alive && !req->server->drained;
}

static void
deliver(struct post *post)
{
	struct http_request *req = CONTAINER_OF(post, struct http_request, post);
	struct http_session *s = session_waiting(req);

	if (s) {
		conn_write(s->conn, req->answer.data, req->answer.len);
		if (!goes_on(req))
			conn_close(s->conn, "");
		s->req = NULL;
		http_request_unref(req);
		session_next(s);
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

/* -- What a handler keeps ------------------------------------------------------------------------------------------------------------ */

void *
http_kept(const struct http_request *req)
{
	struct http_session *s = session_waiting(req);

	return s ? s->kept : NULL;
}

static void
release_kept(struct http_session *s)
{
	if (s->release)
		s->release(s->kept);
}

void
http_keep(struct http_request *req, void *kept, void (*release)(void *kept))
{
	struct http_session *s = session_waiting(req);

	if (!s) {
		release(kept);
		return;
	}
	release_kept(s);
	s->kept = kept;
	s->release = release;
}

/* -- Streams ------------------------------------------------------------------------------------------------------------------------- */

bool
http_stream_begin(struct http_request *req, int status, const char *const *headers, const struct http_stream_ops *ops, void *arg)
{
	struct http_session *s = session_waiting(req);
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
	struct http_session *s = session_waiting(req);
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
finish_stream(struct http_request *req, struct http_session *s)
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
	struct http_session *s = session_waiting(req);

	if (s && req->may_chunk)
		conn_write(s->conn, "0\r\n\r\n", 5);
	if (s && !goes_on(req))
		conn_close(s->conn, "");
	if (s) {
		conn_pause(s->conn, true); /* so that what came meanwhile is handed over again */
		session_next(s);
	}
	finish_stream(req, s);
}

void
http_stream_abort(struct http_request *req, const char *why)
{
	struct http_session *s = session_waiting(req);

	if (s)
		conn_abort(s->conn, why);
	finish_stream(req, s);
}

/* -- Away from HTTP ------------------------------------------------------------------------------------------------------------------ */

static void
session_free(struct http_session *s)
{
	struct http_server *server = s->server;

	if (atomic_fetch_sub(&server->n_sessions, 1) == 1 && server->drained)
		server->drained(server->drained_arg);
	timer_cancel(&s->timer);
	release_kept(s);
	http_request_unref(s->req);
	buf_wipe(&s->url);
	buf_wipe(&s->name);
	buf_wipe(&s->value);
	mem_free(s);
}

bool
http_wants_upgrade(const struct http_request *req, const char *protocol)
{
	return req->upgrade && text_is_nocase(http_header(req, "upgrade"), protocol);
}

struct conn *
http_switch(struct http_request *req, const char *const *headers)
{
	struct http_session *s = session_waiting(req);
	struct conn *conn = s ? s->conn : NULL;
	struct buf out = BUF_INIT(4096);

	if (s) {
		http_request_put_answer(&out, HTTP_STATUS_SWITCHING_PROTOCOLS, headers, NULL, 0, true, false);
		conn_write(conn, out.data, out.len);
		session_free(s);
		conn_pause(conn, false);
	}
	http_request_unref(req);
	buf_clear(&out);
	return conn;
}

static const char *const refusal_headers[] = { "Content-Type: application/json", NULL };

/* What never becomes a request is answered here, and the connection ends: nobody knows where the next request would begin. */
static void
refuse(struct http_session *s, int status, const char *words)
{
	OWN_TEXT body = mem_textf("{\"message\":\"%s\"}", words);
	struct buf out = BUF_INIT(4096);

	http_request_put_answer(&out, status, refusal_headers, body, strlen(body), false, false);
	conn_write(s->conn, out.data, out.len);
	conn_close(s->conn, words);
	buf_clear(&out);
}

/* -- Reading ------------------------------------------------------------------------------------------------------------------------ */

static struct http_session *
session_of(http_parser *parser)
{
	return parser->data;
}

static int
on_begin(http_parser *parser)
{
	struct http_session *s = session_of(parser);

	s->req = http_request_new(s->server, s->conn, s->server->config.max_body);
	s->headers_len = 0;
	s->refuse = 0;
	timer_arm(&s->timer, s->server->config.arrive_ms);
	return 0;
}

static int
on_url(http_parser *parser, const char *at, size_t len)
{
	struct http_session *s = session_of(parser);

	buf_put(&s->url, at, len);
	s->refuse = s->url.failed ? 414 : s->refuse;
	return s->url.failed;
}

static void
finish_header(struct http_session *s)
{
	struct http_request *req = s->req;

	if (s->name.len == 0)
		return;
	if (req->n_headers == HTTP_HEADER_LINES_MAX) {
		s->refuse = 431;
		return;
	}
	req->headers[req->n_headers].name = buf_take_text(&s->name);
	req->headers[req->n_headers++].value = buf_take_text(&s->value);
}

static int
on_header(struct http_session *s, struct buf *into, const char *at, size_t len)
{
	s->headers_len += len;
	if (s->state == READING_HEAD)
		buf_put(into, at, len); /* trailers are read past: they come too late to be headers */
	if (into->failed || s->headers_len > HTTP_HEADERS_MAX)
		s->refuse = 431;
	return s->refuse != 0;
}

static int
on_header_field(http_parser *parser, const char *at, size_t len)
{
	struct http_session *s = session_of(parser);

	if (s->in_value)
		finish_header(s);
	s->in_value = false;
	return on_header(s, &s->name, at, len);
}

static int
on_header_value(http_parser *parser, const char *at, size_t len)
{
	struct http_session *s = session_of(parser);

	s->in_value = true;
	return on_header(s, &s->value, at, len);
}

/* RFC 9112 6: what one peer reads as a body must not be a request for the next one.  0, or the status to refuse with. */
static int
check_framing(const struct http_session *s)
{
	const struct http_request *req = s->req;
	size_t lengths = http_request_count(req, "content-length"), encodings = http_request_count(req, "transfer-encoding");

	if (lengths + encodings > 1 || http_request_count(req, "host") > 1 || http_path(req)[0] != '/')
		return 400;
	if (encodings > 0 && s->parser.http_minor == 0)
		return 400;
	if (encodings > 0 && !text_is_nocase(http_header(req, "transfer-encoding"), "chunked"))
		return 501;
	return 0;
}

/* Where the body goes.  0, or 413. */
static int
choose_sink(struct http_session *s)
{
	const struct http_server_config *config = &s->server->config;
	struct http_request *req = s->req;
	bool has_length = http_request_count(req, "content-length") > 0;

	req->sink = config->sink ? config->sink(req, config->arg) : NULL;
	if (req->sink)
		req->body.max = STREAM_PIECE + READ_MAX + LOOP_READ_LEN;
	return has_length && s->parser.content_length > (req->sink ? req->sink->max : config->max_body) ? 413 : 0;
}

static int
on_headers_complete(http_parser *parser)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct http_session *s = session_of(parser);

	finish_header(s);
	s->in_value = false;
	if (s->refuse)
		return -1;
	http_request_take_url(s->req, &s->url);
	s->req->method = parser->method;
	s->req->may_chunk = parser->http_minor > 0;
	s->req->keep_alive = http_should_keep_alive(parser) && !parser->upgrade;
	s->req->upgrade = parser->upgrade && parser->method == HTTP_GET && parser->http_minor > 0;
	s->refuse = check_framing(s);
	if (!s->refuse)
		s->refuse = choose_sink(s);
	if (s->refuse)
		return -1;
	if (parser->http_minor > 0 && text_is_nocase(http_header(s->req, "expect"), "100-continue"))
		conn_write(s->conn, go_on, sizeof(go_on) - 1);
	s->state = http_header(s->req, "transfer-encoding") ? READING_CHUNKS : READING_LENGTH;
	http_screen_expect_chunks(&s->screen);
	return 0;
}

void
http_server_discharge(struct http_server *server, size_t len)
{
	atomic_fetch_sub_explicit(&server->bodies, len, memory_order_relaxed);
}

/* false: too much is in memory already. */
static bool
charge_body(struct http_request *req, size_t len)
{
	size_t before = atomic_fetch_add_explicit(&req->server->bodies, len, memory_order_relaxed);
	req->charged += len;
	return before + len <= req->server->config.max_bodies || req->charged <= BODY_SMALL;
}

static int
on_body(http_parser *parser, const char *at, size_t len)
{
	struct http_session *s = session_of(parser);

	if (!charge_body(s->req, len))
		s->refuse = 503;
	if (s->refuse)
		return -1;
	buf_put(&s->req->body, at, len);
	s->req->body_len += len;
	if (s->req->body.failed || (s->req->sink && s->req->body_len > s->req->sink->max))
		s->refuse = 413;
	return s->refuse != 0;
}

static void
on_worker(struct job *job)
{
	struct http_request *req = CONTAINER_OF(job, struct http_request, job);

	req->server->config.handle(req, req->server->config.arg);
}

static void
on_back(struct job *job)
{
	http_request_unref(CONTAINER_OF(job, struct http_request, job));
}

/* The request goes to the handler with a reference of its own; on a worker the job holds another, for it is touched after the answer. */
static void
start_handler(struct http_session *s)
{
	static const char busy[] = "{\"message\":\"too many requests at a time\"}";
	struct http_request *req = s->req;
	const struct http_server_config *config = &s->server->config;

	req->n_refs++;
	if (!config->pool) {
		config->handle(req, config->arg);
		return;
	}
	if (config->handle_now && config->handle_now(req, config->arg))
		return;
	req->n_refs++;
	req->job = (struct job){ .run = on_worker, .done = on_back, .owner = loop_owner(req->loop) };
	if (pool_try(config->pool, &req->job))
		return;
	req->n_refs--;
	http_respond(req, 503, refusal_headers, busy, sizeof(busy) - 1);
}

static int
on_complete(http_parser *parser)
{
	struct http_session *s = session_of(parser);

	timer_cancel(&s->timer);
	buf_wipe(&s->name);
	buf_wipe(&s->value);
	s->state = ANSWERING;
	http_parser_pause(parser, 1); /* the next request waits for this one's answer */
	return 0;
}

static const http_parser_settings settings = {
	.on_message_begin = on_begin,
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

/* What is wrong with what was just read: 0, or the status to refuse with. */
static int
find_fault(const struct http_session *s, enum http_screen_answer seen, enum http_session_state before)
{
	if (s->state == ANSWERING)
		return 0;
	if (s->refuse)
		return s->refuse;
	if (HTTP_PARSER_ERRNO(&s->parser) == HPE_HEADER_OVERFLOW)
		return 431;
	/* The last: the screen saw the end of something, and the parser did not. */
	if (HTTP_PARSER_ERRNO(&s->parser) != HPE_OK || seen == HTTP_SCREEN_BAD || (seen == HTTP_SCREEN_END && s->state == before))
		return 400;
	return 0;
}

/* Give the parser what the screen lets pass.  Returns how much was used, 0 when the connection ends. */
static size_t
feed(struct http_session *s, const char *data, size_t len)
{
	enum http_session_state before = s->state;
	enum http_screen_answer seen = HTTP_SCREEN_MORE;
	size_t used = len;
	int status;

	if (before != READING_LENGTH)
		seen = http_screen_feed(&s->screen, data, len, &used);
	if (used > 0) /* http-parser takes nothing for the end of input */
		used = http_parser_execute(&s->parser, &settings, data, used);
	status = find_fault(s, seen, before);
	if (status != 0) {
		refuse(s, status, http_status_words(status));
		return 0;
	}
	if (s->state == ANSWERING)
		http_parser_pause(&s->parser, 0);
	return used;
}

/* Hand a piece to a worker; the job holds a reference.  false: too many wait. */
static bool
stream_piece(struct http_request *req, void (*run)(struct job *job), void (*done)(struct job *job))
{
	req->job = (struct job){ .run = run, .done = done, .owner = loop_owner(req->loop) };
	req->n_refs++;
	if (pool_try(req->server->config.streams, &req->job))
		return true;
	req->n_refs--;
	return false;
}

static void
write_to_sink(struct job *job)
{
	struct http_request *req = CONTAINER_OF(job, struct http_request, job);

	req->sink->write(req->sink, req->body.data, req->body.len);
	buf_reset(&req->body);
}

static void
on_written_to_sink(struct job *job)
{
	struct http_request *req = CONTAINER_OF(job, struct http_request, job);
	struct http_session *s = session_waiting(req);

	http_server_discharge(req->server, req->charged);
	req->charged = 0;
	if (s) {
		s->streaming = false;
		if (s->state == ANSWERING) {
			start_handler(s);
		} else {
			timer_arm(&s->timer, READ_TIMEOUT_MS);
			conn_pause(s->conn, false);
		}
	}
	http_request_unref(req);
}

/* The sink takes what there is; nothing is read meanwhile. */
static void
feed_sink(struct http_session *s)
{
	timer_cancel(&s->timer);
	s->streaming = stream_piece(s->req, write_to_sink, on_written_to_sink);
	if (!s->streaming)
		refuse(s, 503, "too many requests at a time");
}

static bool
sink_is_due(const struct http_session *s)
{
	size_t len = s->req && s->req->sink ? s->req->body.len : 0;

	return len >= STREAM_PIECE || (len > 0 && s->state == ANSWERING);
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct http_session *s = conn_user(conn);
	size_t done = 0, used;

	if (s->state == ANSWERING || s->streaming)
		return 0;
	while (done < len && s->state != ANSWERING) {
		used = feed(s, (const char *)data + done, len - done);
		if (used == 0)
			return len;
		done += used;
	}
	if (sink_is_due(s)) {
		conn_pause(conn, true);
		feed_sink(s);
	} else if (s->state == ANSWERING) {
		conn_pause(conn, true);
		start_handler(s);
	}
	return done;
}

/* -- Answers from a source ---------------------------------------------------------------------------------------------------------- */

static void
end_answer(struct http_session *s)
{
	struct http_request *req = s->req;

	if (!goes_on(req))
		conn_close(s->conn, "");
	s->req = NULL;
	session_next(s);
	http_request_unref(req);
}

static void
read_from_source(struct job *job)
{
	struct http_request *req = CONTAINER_OF(job, struct http_request, job);
	size_t len = req->source->len < STREAM_PIECE ? (size_t)req->source->len : STREAM_PIECE;
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
	struct http_session *s = session_waiting(req);

	if (s && req->source_failed) {
		conn_abort(s->conn, "what was being answered can't be read");
	} else if (s) {
		s->streaming = false;
		conn_write(s->conn, req->answer.data, req->answer.len);
		timer_arm(&s->timer, READ_TIMEOUT_MS);
		if (req->source->len == 0)
			end_answer(s);
	}
	buf_clear(&req->answer);
	http_request_unref(req);
}

/* The client has read what there was: the next piece. */
static void
on_drain(struct conn *conn)
{
	struct http_session *s = conn_user(conn);

	if (s->req && s->req->stream)
		s->req->stream->on_drain(s->req->stream_arg);
	if (!s->req || !s->req->source || s->streaming)
		return;
	timer_cancel(&s->timer); /* a slow disk is not the client's fault */
	s->streaming = stream_piece(s->req, read_from_source, on_read_from_source);
	if (!s->streaming)
		conn_abort(conn, "too many requests at a time");
}

void
http_respond_from(struct http_request *req, int status, const char *const *headers, struct http_source *source_take)
{
	struct http_session *s = session_waiting(req);
	struct buf head = BUF_INIT(HTTP_HEADERS_MAX);

	req->source = source_take;
	if (s) {
		http_request_put_answer(&head, status, headers, NULL, source_take->len, req->keep_alive, true);
		conn_write(s->conn, head.data, head.len); /* once that is out, on_drain goes on */
		timer_arm(&s->timer, READ_TIMEOUT_MS);
		if (source_take->len == 0 || req->method == HTTP_HEAD)
			end_answer(s);
	}
	buf_clear(&head);
	http_request_unref(req);
}

static void
on_timer(struct timer *timer)
{
	struct http_session *s = CONTAINER_OF(timer, struct http_session, timer);

	if (s->state == ANSWERING && s->req && s->req->source)
		conn_abort(s->conn, "the client does not read its answer");
	if (s->state == ANSWERING || s->streaming)
		return;
	if (s->req)
		refuse(s, 408, "the request took too long to arrive");
	else
		conn_close(s->conn, "");
}

static void
on_open(struct conn *conn)
{
	struct http_session *s = conn_user(conn);

	timer_arm(&s->timer, READ_TIMEOUT_MS);
}

static void
on_close(struct conn *conn, const char *why)
{
	struct http_session *s = conn_user(conn);
	struct http_request *req = s->req;

	(void)why;
	s->req = NULL;
	if (req && req->stream)
		req->stream->on_gone(req->stream_arg);
	http_request_unref(req);
	session_free(s);
}

static const struct conn_ops ops = { .on_open = on_open,
	.on_data = on_data,
	.on_drain = on_drain,
	.on_close = on_close,
	.read_max = READ_MAX,
	.write_max = HTTP_ANSWER_MAX + 65536 };

const struct conn_ops *
http_server_ops(void)
{
	return &ops;
}

void
http_server_on_accept(struct conn *conn, void *server)
{
	struct http_session *s = NEW(http_session);

	s->server = server;
	s->server->n_sessions++;
	s->conn = conn;
	s->url = (struct buf)BUF_INIT(HTTP_TARGET_MAX);
	s->name = (struct buf)BUF_INIT(HTTP_HEADERS_MAX);
	s->value = (struct buf)BUF_INIT(HTTP_HEADERS_MAX);
	http_screen_init(&s->screen);
	http_parser_init(&s->parser, HTTP_REQUEST);
	s->parser.data = s;
	timer_init(&s->timer, conn_loop(conn), on_timer);
	conn_set_user(conn, s);
}

struct http_server *
http_server_new(const struct http_server_config *config)
{
	struct http_server *server = NEW(http_server);

	server->config = *config;
	server->config.max_body = config->max_body ? config->max_body : BODY_MAX;
	server->config.arrive_ms = config->arrive_ms ? config->arrive_ms : READ_TIMEOUT_MS;
	server->config.max_bodies = config->max_bodies ? config->max_bodies : BODIES_MAX;
	return server;
}

static void
close_idle(struct conn *conn)
{
	struct http_session *s = conn->ops == &ops ? conn_user(conn) : NULL;

	if (s && s->server->drained && !s->req)
		conn_close(conn, "");
}

void
http_server_drain(struct http_server *server, struct loop *loop, void (*drained)(void *arg), void *arg)
{
	server->drained = drained;
	server->drained_arg = arg;
	if (server->n_sessions == 0)
		drained(arg);
	else
		loop_each_conn(loop, close_idle);
}

void
http_server_free(struct http_server *server)
{
	mem_free(server);
}
