/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: a request as http_reader.c fills it and http_request.c answers questions about it. */

#include <stdatomic.h>

#include "net/http_server.h"
#include "wire/http_target.h"

#define HTTP_HEADERS_MAX 32768
#define HTTP_HEADER_LINES_MAX 64
#define HTTP_ANSWER_MAX (64 * 1024 * 1024)

struct http_header_line {
	char *name, *value;
};

/* Shared by the connection, by whoever answers it, and by a worker's job: freed when all are done. */
struct http_request {
	struct http_server *server;
	struct loop *loop;
	uint64_t conn_id;
	struct http_target target;
	char *peer_name;
	struct http_header_line headers[HTTP_HEADER_LINES_MAX];
	size_t n_headers;
	struct buf body, answer; /* of a sink or source: the piece at hand */
	struct http_sink *sink;
	struct http_source *source;
	uint64_t body_len;
	size_t charged; /* of the body, to the server's account of all */
	bool source_failed;
	struct cert *leaf;
	struct peer_process process;
	const struct http_stream_ops *stream; /* the answer is one */
	void *stream_arg;
	bool has_process, keep_alive, may_chunk, upgrade;
	unsigned int method;
	struct job job;
	struct post post;
	atomic_int n_refs;
};

struct http_request *http_request_new(struct http_server *server, struct conn *conn, size_t max_body);
void http_request_unref(struct http_request *req);
void http_request_take_url(struct http_request *req, struct buf *url);
size_t http_request_count(const struct http_request *req, const char *name); /* header lines of this name */
void http_server_discharge(struct http_server *server, size_t len);	     /* so much less is in memory */
/* The answer's bytes.  Falls back to a bare 500 when it is too large or a header line is malformed. */
void http_request_put_answer(
	struct buf *out, int status, const char *const *headers, const void *body, size_t len, bool keep_alive, bool head_only);
/* The head of a streamed one. */
void http_request_put_head(struct buf *out, int status, const char *const *headers, bool chunked);
const char *http_status_words(int status);
