/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 on connections: http-parser reads, one request at a time is handed to the handler, on the loop or on the pool.
 *
 * A request is shared by the connection and whoever answers it: it has two references, and is freed when both are done.  The answer always goes through the
 * loop of the connection, so a handler on a worker needs to know nothing of threads. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <http_parser.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/http_server.h"
#include "wire/codec.h"
#include "wire/json.h"

#define URL_MAX 8192
#define HEADERS_MAX 32768
#define HEADER_LINES_MAX 64
#define SEGMENTS_MAX 16
#define BODY_MAX (1024 * 1024)
#define READ_TIMEOUT_MS 30000
#define IDLE_TIMEOUT_MS 120000
#define ANSWER_MAX (64 * 1024 * 1024)

struct header {
	char *name, *value;
};

struct http_request {
	struct http_server *server;
	struct loop *loop;
	uint64_t conn_id;
	char *url, *path, *query, *peer_name;
	struct header headers[HEADER_LINES_MAX];
	size_t n_headers;
	char *segments[SEGMENTS_MAX];
	size_t n_segments;
	struct map *queries; /* decoded values by name */
	struct buf body, answer;
	struct cert *leaf;
	struct peer_process process;
	bool has_process, keep_alive;
	unsigned int method;
	struct job job;
	struct post post;
	atomic_int n_refs;
};

struct http_server {
	struct http_server_config config;
};

/* A connection's state. */
struct http_session {
	struct http_server *server;
	struct conn *conn;
	http_parser parser;
	struct http_request *req; /* being read, or being answered */
	struct buf url, name, value;
	size_t headers_len;
	struct timer timer;
	bool answering, in_value;
	int refuse; /* a status to answer instead of handling */
};

/* -- Requests ----------------------------------------------------------------------------------------------------------------------- */

static void
request_unref(struct http_request *req)
{
	size_t at = 0;
	void *value;

	if (!req || --req->n_refs > 0)
		return;
	for (size_t i = 0; i < req->n_headers; i++) {
		mem_free(req->headers[i].name);
		mem_free(req->headers[i].value);
	}
	for (size_t i = 0; i < req->n_segments; i++)
		mem_free(req->segments[i]);
	if (req->queries)
		while (map_next(req->queries, &at, NULL, NULL, &value))
			mem_free(value);
	map_free(req->queries);
	buf_wipe(&req->body);
	buf_wipe(&req->answer);
	cert_free(req->leaf);
	mem_free(req->url);
	mem_free(req->path);
	mem_free(req->query);
	mem_free(req->peer_name);
	mem_free(req);
}

static struct http_request *
request_new(struct http_session *s)
{
	struct http_request *req = NEW(http_request);

	req->server = s->server;
	req->loop = conn_loop(s->conn);
	req->conn_id = conn_id(s->conn);
	req->peer_name = mem_text(conn_peer_name(s->conn));
	req->body = (struct buf)BUF_INIT(s->server->config.max_body);
	req->answer = (struct buf)BUF_INIT(ANSWER_MAX);
	req->leaf = conn_peer_leaf(s->conn);
	req->has_process = conn_peer_process(s->conn, &req->process);
	req->n_refs = 1;
	return req;
}

static void
split_query(struct http_request *req)
{
	struct slice rest = slice_of(req->query), pair, name;
	bool more = rest.len > 0;

	req->queries = map_new();
	while (more) {
		struct buf key = BUF_INIT(URL_MAX), value = BUF_INIT(URL_MAX);

		more = slice_cut(&rest, '&', &pair);
		slice_cut(&pair, '=', &name);
		if (percent_decode(&key, name.text, name.len) && percent_decode(&value, pair.text, pair.len) && strlen(buf_text(&value)) == value.len)
			mem_free(map_put(req->queries, buf_text(&key), key.len, buf_take_text(&value)));
		buf_clear(&key);
		buf_clear(&value);
	}
}

/* A segment that does not decode, or holds NUL, is kept as an empty one: no route has that. */
static void
split_path(struct http_request *req)
{
	struct slice rest = slice_of(req->path), part;
	bool more = true;

	slice_cut(&rest, '/', &part);
	while (more && rest.len > 0 && req->n_segments < SEGMENTS_MAX) {
		struct buf text = BUF_INIT(URL_MAX);

		more = slice_cut(&rest, '/', &part);
		if (!percent_decode(&text, part.text, part.len) || strlen(buf_text(&text)) != text.len)
			buf_reset(&text);
		req->segments[req->n_segments++] = buf_take_text(&text);
		buf_clear(&text);
	}
}

static void
take_url(struct http_request *req, struct buf *url)
{
	char *mark;

	req->url = buf_take_text(url);
	req->path = mem_text(req->url);
	mark = strchr(req->path, '?');
	req->query = mem_text(mark ? mark + 1 : "");
	if (mark)
		*mark = '\0';
	split_path(req);
	split_query(req);
}

const char *
http_method(const struct http_request *req)
{
	return http_method_str((enum http_method)req->method);
}

const char *
http_path(const struct http_request *req)
{
	return req->path;
}

const char *
http_query(const struct http_request *req, const char *name)
{
	return map_find_text(req->queries, name);
}

const char *
http_header(const struct http_request *req, const char *name)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (text_is_nocase(req->headers[i].name, name))
			return req->headers[i].value;
	return NULL;
}

const void *
http_body(const struct http_request *req, size_t *len)
{
	*len = req->body.len;
	return buf_text(&req->body);
}

struct conn *
http_conn(const struct http_request *req)
{
	return conn_find(req->loop, req->conn_id);
}

struct cert *
http_peer_leaf(const struct http_request *req)
{
	return req->leaf;
}

const char *
http_peer_name(const struct http_request *req)
{
	return req->peer_name;
}

bool
http_peer_process(const struct http_request *req, struct peer_process *out)
{
	*out = req->process;
	return req->has_process;
}

const char *
http_segment(const struct http_request *req, size_t i)
{
	return i < req->n_segments ? req->segments[i] : NULL;
}

size_t
http_n_segments(const struct http_request *req)
{
	return req->n_segments;
}

/* -- Answers ------------------------------------------------------------------------------------------------------------------------ */

static const char *
status_words(int status)
{
	switch (status) {
#define XX(number, name, string) \
	case number:             \
		return #string;
		HTTP_STATUS_MAP(XX)
#undef XX
	default:
		return "Unknown";
	}
}

static void
put_answer(struct buf *out, int status, const char *const *headers, const void *body, size_t len, bool keep_alive)
{
	buf_putf(out, "HTTP/1.1 %d %s\r\n", status, status_words(status));
	for (size_t i = 0; headers && headers[i]; i++)
		buf_putf(out, "%s\r\n", headers[i]);
	if (status != 204 && status != 304 && status >= 200)
		buf_putf(out, "Content-Length: %zu\r\n", len);
	if (!keep_alive)
		buf_puts(out, "Connection: close\r\n");
	buf_puts(out, "\r\n");
	buf_put(out, body, len);
}

static void session_next(struct http_session *s);

static void
deliver(struct post *post)
{
	struct http_request *req = CONTAINER_OF(post, struct http_request, post);
	struct conn *conn = conn_find(req->loop, req->conn_id);
	struct http_session *s = conn ? conn_user(conn) : NULL;

	if (s && s->req == req) {
		conn_write(conn, req->answer.data, req->answer.len);
		if (!req->keep_alive)
			conn_close(conn, "");
		s->req = NULL;
		request_unref(req);
		session_next(s);
	}
	request_unref(req);
}

void
http_respond(struct http_request *req, int status, const char *const *headers, const void *body, size_t len)
{
	put_answer(&req->answer, status, headers, body, req->method == HTTP_HEAD ? 0 : len, req->keep_alive);
	if (req->answer.failed) {
		buf_clear(&req->answer);
		put_answer(&req->answer, 500, NULL, NULL, 0, req->keep_alive);
	}
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

static void
refuse(struct http_session *s, int status, const char *words)
{
	OWN_TEXT body = mem_textf("{\"message\":\"%s\"}", words);
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	struct buf out = BUF_INIT(4096);

	put_answer(&out, status, headers, body, strlen(body), false);
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

	s->req = request_new(s);
	s->headers_len = 0;
	s->refuse = 0;
	buf_reset(&s->url);
	buf_reset(&s->name);
	buf_reset(&s->value);
	timer_arm(&s->timer, READ_TIMEOUT_MS);
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
	if (req->n_headers == HEADER_LINES_MAX) {
		s->refuse = 431;
		return;
	}
	req->headers[req->n_headers].name = mem_text(buf_text(&s->name));
	req->headers[req->n_headers++].value = mem_text(buf_text(&s->value));
	buf_reset(&s->name);
	buf_reset(&s->value);
}

static int
on_header(struct http_session *s, struct buf *into, const char *at, size_t len)
{
	s->headers_len += len;
	buf_put(into, at, len);
	if (into->failed || s->headers_len > HEADERS_MAX)
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

/* Two lengths, or a length and chunks: what one peer reads as a body the next reads as a request (RFC 9112 6.3). */
static bool
lengths_agree(const struct http_request *req)
{
	size_t lengths = 0, encodings = 0;

	for (size_t i = 0; i < req->n_headers; i++) {
		lengths += text_is_nocase(req->headers[i].name, "content-length");
		encodings += text_is_nocase(req->headers[i].name, "transfer-encoding");
	}
	return lengths + encodings <= 1;
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
	take_url(s->req, &s->url);
	s->req->method = parser->method;
	s->req->keep_alive = http_should_keep_alive(parser) && !parser->upgrade;
	if (!lengths_agree(s->req) || s->req->url[0] != '/')
		s->refuse = 400;
	else if (parser->content_length != ULLONG_MAX && parser->content_length > s->server->config.max_body)
		s->refuse = 413;
	else if (text_is_nocase(http_header(s->req, "expect"), "100-continue"))
		conn_write(s->conn, go_on, sizeof(go_on) - 1);
	return s->refuse ? -1 : 0;
}

static int
on_body(http_parser *parser, const char *at, size_t len)
{
	struct http_session *s = session_of(parser);

	buf_put(&s->req->body, at, len);
	if (s->req->body.failed)
		s->refuse = 413;
	return s->req->body.failed;
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
	request_unref(CONTAINER_OF(job, struct http_request, job));
}

/* The request goes to the handler with a reference of its own; on a worker the job holds another, for it is touched after the answer. */
static void
start_handler(struct http_session *s)
{
	struct http_request *req = s->req;
	const struct http_server_config *config = &s->server->config;

	req->n_refs++;
	if (!config->pool) {
		config->handle(req, config->arg);
		return;
	}
	req->n_refs++;
	req->job = (struct job){ .run = on_worker, .done = on_back, .owner = loop_owner(req->loop) };
	if (pool_try(config->pool, &req->job))
		return;
	req->n_refs--;
	http_respond(req, 503, NULL, NULL, 0);
}

static int
on_complete(http_parser *parser)
{
	struct http_session *s = session_of(parser);

	finish_header(s); /* a trailer */
	timer_cancel(&s->timer);
	s->answering = true;
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

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct http_session *s = conn_user(conn);
	size_t used;

	if (s->answering)
		return 0;
	used = http_parser_execute(&s->parser, &settings, (const char *)data, len);
	if (s->answering) {
		http_parser_pause(&s->parser, 0);
		conn_pause(conn, true);
		start_handler(s);
		return used;
	}
	if (HTTP_PARSER_ERRNO(&s->parser) != HPE_OK) {
		refuse(s, s->refuse ? s->refuse : 400, s->refuse ? status_words(s->refuse) : "malformed HTTP");
		return len;
	}
	return used;
}

static void
session_next(struct http_session *s)
{
	s->answering = false;
	timer_arm(&s->timer, IDLE_TIMEOUT_MS);
	conn_pause(s->conn, false);
}

static void
on_timer(struct timer *timer)
{
	struct http_session *s = CONTAINER_OF(timer, struct http_session, timer);

	if (s->answering)
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

	(void)why;
	timer_cancel(&s->timer);
	request_unref(s->req);
	buf_wipe(&s->url);
	buf_wipe(&s->name);
	buf_wipe(&s->value);
	mem_free(s);
}

static const struct conn_ops ops = { .on_open = on_open, .on_data = on_data, .on_close = on_close, .read_max = 131072, .write_max = ANSWER_MAX + 65536 };

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
	s->conn = conn;
	s->url = (struct buf)BUF_INIT(URL_MAX);
	s->name = (struct buf)BUF_INIT(HEADERS_MAX);
	s->value = (struct buf)BUF_INIT(HEADERS_MAX);
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
	return server;
}

void
http_server_free(struct http_server *server)
{
	mem_free(server);
}
