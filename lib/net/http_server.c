/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 on connections: one request at a time is read, handed to the handler, on the loop or on the pool, and answered.
 *
 * A request is shared by the connection and whoever answers it, and is freed when both are done. */
#include <string.h>

#include "base/mem.h"
#include "net/conn_inside.h"
#include "net/http_channel.h"
#include "net/loop_inside.h"

#define BODY_MAX (1024 * 1024)
#define BODIES_MAX ((size_t)256 * 1024 * 1024)

/* -- A connection --------------------------------------------------------------------------------------------------------------------- */

struct http_channel *
http_channel_waiting(const struct http_request *req)
{
	struct conn *conn = conn_find(req->loop, req->conn_id);
	struct http_channel *s = conn ? conn_user(conn) : NULL;

	return s && s->req == req ? s : NULL;
}

void
http_channel_next(struct http_channel *s)
{
	s->state = HTTP_READING_HEAD;
	http_screen_init(&s->screen);
	timer_arm(&s->timer, HTTP_IDLE_TIMEOUT_MS);
	conn_pause(s->conn, false);
}

/* -- What a handler keeps ------------------------------------------------------------------------------------------------------------ */

void *
http_kept(const struct http_request *req)
{
	struct http_channel *s = http_channel_waiting(req);

	return s ? s->kept : NULL;
}

static void
release_kept(struct http_channel *s)
{
	if (s->release)
		s->release(s->kept);
}

void
http_keep(struct http_request *req, void *kept, void (*release)(void *kept))
{
	struct http_channel *s = http_channel_waiting(req);

	if (!s) {
		release(kept);
		return;
	}
	release_kept(s);
	s->kept = kept;
	s->release = release;
}

void *
http_take_kept(struct http_request *req, void (**release)(void *kept))
{
	struct http_channel *s = http_channel_waiting(req);
	void *kept = s ? s->kept : NULL;

	if (!kept)
		return NULL;
	*release = s->release;
	s->kept = NULL;
	s->release = NULL;
	return kept;
}

void
http_channel_free(struct http_channel *s)
{
	struct http_server *server = s->server;

	if (atomic_fetch_sub(&server->n_channels, 1) == 1 && server->drained)
		server->drained(server->drained_arg);
	timer_cancel(&s->timer);
	release_kept(s);
	http_request_unref(s->req);
	buf_wipe(&s->url);
	buf_wipe(&s->name);
	buf_wipe(&s->value);
	mem_free(s);
}

const char *const http_refusal_headers[] = { "Content-Type: application/json", NULL };

void
http_channel_refuse(struct http_channel *s, int status, const char *words)
{
	OWN_TEXT body = mem_textf("{\"message\":\"%s\"}", words);
	struct buf out = BUF_INIT(4096);

	http_request_put_answer(&out, status, http_refusal_headers, body, strlen(body), false, false);
	conn_write(s->conn, out.data, out.len);
	conn_close(s->conn, words);
	buf_clear(&out);
}

/* -- A request is handled ------------------------------------------------------------------------------------------------------------ */

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
start_handler(struct http_channel *s)
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
	if (pool_try(config->is_slow && config->is_slow(req, config->arg) ? config->slow : config->pool, &req->job))
		return;
	req->n_refs--;
	http_respond(req, 503, http_refusal_headers, busy, sizeof(busy) - 1);
}

/* -- A body that goes to a sink ------------------------------------------------------------------------------------------------------- */

bool
http_request_do_piece(struct http_request *req, void (*run)(struct job *job), void (*done)(struct job *job))
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
	struct http_channel *s = http_channel_waiting(req);

	http_server_discharge(req->server, req->charged);
	req->charged = 0;
	if (s) {
		s->streaming = false;
		if (s->state == HTTP_ANSWERING) {
			start_handler(s);
		} else {
			timer_arm(&s->timer, HTTP_READ_TIMEOUT_MS);
			conn_pause(s->conn, false);
		}
	}
	http_request_unref(req);
}

/* The sink takes what there is; nothing is read meanwhile. */
static void
feed_sink(struct http_channel *s)
{
	timer_cancel(&s->timer);
	s->streaming = http_request_do_piece(s->req, write_to_sink, on_written_to_sink);
	if (!s->streaming)
		http_channel_refuse(s, 503, "too many requests at a time");
}

static bool
sink_is_due(const struct http_channel *s)
{
	size_t len = s->req && s->req->sink ? s->req->body.len : 0;

	return len >= HTTP_STREAM_PIECE || (len > 0 && s->state == HTTP_ANSWERING);
}

/* -- Events of the connection --------------------------------------------------------------------------------------------------------- */

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct http_channel *s = conn_user(conn);
	size_t done = 0, used;

	if (s->state == HTTP_ANSWERING || s->streaming)
		return 0;
	while (done < len && s->state != HTTP_ANSWERING) {
		used = http_channel_read(s, (const char *)data + done, len - done);
		if (used == 0)
			return len;
		done += used;
	}
	if (sink_is_due(s)) {
		conn_pause(conn, true);
		feed_sink(s);
	} else if (s->state == HTTP_ANSWERING) {
		conn_pause(conn, true);
		start_handler(s);
	}
	return done;
}

static void
on_drain(struct conn *conn)
{
	struct http_channel *s = conn_user(conn);

	if (s->req && s->req->stream)
		s->req->stream->on_drain(s->req->stream_arg);
	http_channel_read_source(s);
}

static void
on_timer(struct timer *timer)
{
	struct http_channel *s = CONTAINER_OF(timer, struct http_channel, timer);

	if (s->state == HTTP_ANSWERING && s->req && s->req->source)
		conn_abort(s->conn, "the client does not read its answer");
	if (s->state == HTTP_ANSWERING || s->streaming)
		return;
	if (s->req)
		http_channel_refuse(s, 408, "the request took too long to arrive");
	else
		conn_close(s->conn, "");
}

static void
on_open(struct conn *conn)
{
	struct http_channel *s = conn_user(conn);

	timer_arm(&s->timer, HTTP_READ_TIMEOUT_MS);
}

static void
on_close(struct conn *conn, const char *why)
{
	struct http_channel *s = conn_user(conn);
	struct http_request *req = s->req;

	(void)why;
	s->req = NULL;
	if (req && req->stream)
		req->stream->on_gone(req->stream_arg);
	http_request_unref(req);
	http_channel_free(s);
}

static const struct conn_ops ops = { .on_open = on_open,
	.on_data = on_data,
	.on_drain = on_drain,
	.on_close = on_close,
	.read_max = HTTP_READ_MAX,
	.write_max = HTTP_ANSWER_MAX + 65536 };

const struct conn_ops *
http_server_ops(void)
{
	return &ops;
}

void
http_server_on_accept(struct conn *conn, void *server)
{
	struct http_channel *s = NEW(http_channel);

	s->server = server;
	s->server->n_channels++;
	s->conn = conn;
	http_channel_begin_reading(s);
	timer_init(&s->timer, conn_loop(conn), on_timer);
	conn_set_user(conn, s);
}

struct http_server *
http_server_new(const struct http_server_config *config)
{
	struct http_server *server = NEW(http_server);

	server->config = *config;
	server->config.max_body = config->max_body ? config->max_body : BODY_MAX;
	server->config.arrive_ms = config->arrive_ms ? config->arrive_ms : HTTP_READ_TIMEOUT_MS;
	server->config.max_bodies = config->max_bodies ? config->max_bodies : BODIES_MAX;
	return server;
}

static void
close_idle(struct conn *conn)
{
	struct http_channel *s = conn->ops == &ops ? conn_user(conn) : NULL;

	if (s && s->server->drained && !s->req)
		conn_close(conn, "");
}

void
http_server_drain(struct http_server *server, struct loop *loop, void (*drained)(void *arg), void *arg)
{
	server->drained = drained;
	server->drained_arg = arg;
	if (server->n_channels == 0)
		drained(arg);
	else
		loop_each_conn(loop, close_idle);
}

void
http_server_free(struct http_server *server)
{
	mem_free(server);
}
