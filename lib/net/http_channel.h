/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: a connection of the HTTP server, which reads a request (http_reader.c), has it handled (http_server.c) and writes its answer (http_respond.c). */

#include <stdatomic.h>

#include <http_parser.h>

#include "net/http_request.h"
#include "net/http_screen.h"

#define HTTP_READ_TIMEOUT_MS 30000
#define HTTP_IDLE_TIMEOUT_MS 120000
#define HTTP_READ_MAX 131072
#define HTTP_STREAM_PIECE (256 * 1024) /* at least this much, or the end, comes within HTTP_READ_TIMEOUT_MS */

struct http_server {
	struct http_server_config config;
	atomic_size_t bodies; /* in memory */
	atomic_size_t n_channels;
	void (*drained)(void *arg); /* set: the service is ending */
	void *drained_arg;
};

/* Where a connection is. */
enum http_channel_state { HTTP_READING_HEAD, HTTP_READING_LENGTH, HTTP_READING_CHUNKS, HTTP_ANSWERING };

/* A connection's state. */
struct http_channel {
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
	enum http_channel_state state;
	bool in_value;
	bool streaming; /* a worker has a piece */
	int refuse;	/* a status to answer instead of handling */
};

extern const char *const http_refusal_headers[];

/* The connection that still waits for this answer, or NULL. */
struct http_channel *http_channel_waiting(const struct http_request *req);
/* The next request, which may lie here already, is read. */
void http_channel_next(struct http_channel *channel);
/* What never becomes a request is answered here, and the connection ends: nobody knows where the next request would begin. */
void http_channel_refuse(struct http_channel *channel, int status, const char *words);
void http_channel_free(struct http_channel *channel);

/* Take what belongs to the request being read.  Returns how much was used, 0 when the connection ends. */
size_t http_channel_read(struct http_channel *channel, const char *data, size_t len);
void http_channel_begin_reading(struct http_channel *channel);

/* Hand a piece of a body or an answer to a worker; the job holds a reference.  false: too many wait. */
bool http_request_do_piece(struct http_request *req, void (*run)(struct job *job), void (*done)(struct job *job));
/* The client has read what there was of an answer: the next piece of its source. */
void http_channel_read_source(struct http_channel *channel);
