/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request: its parts, decoded once, and the bytes of its answer. */
#include <string.h>

#include <http_parser.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/http_request.h"

void
http_request_unref(struct http_request *req)
{
	if (!req || --req->n_refs > 0)
		return;
	for (size_t i = 0; i < req->n_headers; i++) {
		mem_free(req->headers[i].name);
		mem_free(req->headers[i].value);
	}
	if (req->sink)
		req->sink->free(req->sink);
	if (req->source)
		req->source->free(req->source);
	http_server_discharge(req->server, req->charged);
	buf_wipe(&req->body);
	buf_wipe(&req->answer);
	cert_free(req->leaf);
	http_target_clear(&req->target);
	mem_free(req->peer_name);
	mem_free(req);
}

struct http_request *
http_request_new(struct http_server *server, struct conn *conn, size_t max_body)
{
	struct http_request *req = NEW(http_request);

	req->server = server;
	req->loop = conn_loop(conn);
	req->conn_id = conn_id(conn);
	req->peer_name = mem_text(conn_peer_name(conn));
	req->body = (struct buf)BUF_INIT(max_body);
	req->answer = (struct buf)BUF_INIT(HTTP_ANSWER_MAX);
	req->leaf = conn_peer_leaf(conn);
	req->has_process = conn_peer_process(conn, &req->process);
	req->n_refs = 1;
	return req;
}

void
http_request_take_url(struct http_request *req, struct buf *url)
{
	http_target_read(&req->target, buf_take_text(url));
}

size_t
http_request_count(const struct http_request *req, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < req->n_headers; i++)
		n += text_is_nocase(req->headers[i].name, name);
	return n;
}

/* -- Questions ---------------------------------------------------------------------------------------------------------------------- */

const char *
http_method(const struct http_request *req)
{
	return http_method_str((enum http_method)req->method);
}

const char *
http_path(const struct http_request *req)
{
	return req->target.path;
}

const char *
http_query(const struct http_request *req, const char *name)
{
	return map_find_text(req->target.values, name);
}

const char *
http_header(const struct http_request *req, const char *name)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (text_is_nocase(req->headers[i].name, name))
			return req->headers[i].value;
	return NULL;
}

bool
http_next_header(const struct http_request *req, size_t *at, const char **name, const char **value)
{
	if (*at == req->n_headers)
		return false;
	*name = req->headers[*at].name;
	*value = req->headers[(*at)++].value;
	return true;
}

const void *
http_body(const struct http_request *req, size_t *len)
{
	*len = req->body.len;
	return buf_text(&req->body);
}

struct http_sink *
http_sink_of(const struct http_request *req)
{
	return req->sink;
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
	return i < req->target.n_segments ? req->target.segments[i] : NULL;
}

size_t
http_n_segments(const struct http_request *req)
{
	return req->target.n_segments;
}

bool
http_path_fits(const struct http_request *req, const char *pattern, const char **ids, size_t max)
{
	return http_target_fits(&req->target, pattern, ids, max);
}

/* -- Answers ------------------------------------------------------------------------------------------------------------------------ */

const char *
http_status_words(int status)
{
	switch (status) {
#define XX(number, name, string)                                                                                                   \
	case number:                                                                                                               \
		return #string;
		HTTP_STATUS_MAP(XX)
#undef XX
	default:
		return "Unknown";
	}
}

/* A header line with a line end in it would be two: whatever a handler put into it came from somewhere. */
static bool
headers_are_good(const char *const *headers)
{
	for (size_t i = 0; headers && headers[i]; i++)
		if (text_has_control(headers[i], strlen(headers[i])) || !strchr(headers[i], ':'))
			return false;
	return true;
}

/* What is sent is what its Content-Type says it is, whatever a browser makes of its bytes (gateway 6). */
static void
put_status(struct buf *out, int status)
{
	buf_putf(out, "HTTP/1.1 %d %s\r\nX-Content-Type-Options: nosniff\r\n", status, http_status_words(status));
}

void
http_request_put_head(struct buf *out, int status, const char *const *headers, bool chunked)
{
	bool good = headers_are_good(headers);

	put_status(out, status);
	for (size_t i = 0; good && headers && headers[i]; i++)
		buf_putf(out, "%s\r\n", headers[i]);
	buf_puts(out, chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Connection: close\r\n\r\n");
}

static void
put(struct buf *out, int status, const char *const *headers, const void *body, size_t len, bool keep_alive, bool head_only)
{
	bool has_length = status >= 200 && status != 204 && status != 304;
	char date[CLOCK_TEXT_LEN];

	put_status(out, status);
	for (size_t i = 0; headers && headers[i]; i++)
		buf_putf(out, "%s\r\n", headers[i]);
	if (status == 401) /* a token that has ended may have been made by a wrong clock: this is how its maker finds out */
		buf_putf(out, "Date: %s\r\n", clock_text_http(clock_wall(), date));
	if (has_length)
		buf_putf(out, "Content-Length: %zu\r\n", len);
	if (!keep_alive)
		buf_puts(out, "Connection: close\r\n");
	buf_puts(out, "\r\n");
	if (has_length && !head_only)
		buf_put(out, body, len);
}

void
http_request_put_answer(
	struct buf *out, int status, const char *const *headers, const void *body, size_t len, bool keep_alive, bool head_only)
{
	bool good = headers_are_good(headers);

	if (good)
		put(out, status, headers, body, len, keep_alive, head_only);
	if (good && !out->failed)
		return;
	buf_clear(out);
	put(out, 500, NULL, NULL, 0, keep_alive, head_only);
}
