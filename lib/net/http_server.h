/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An HTTP/1.1 server on connections of a listener (http-parser underneath): GET with a body, chunked bodies, keep-alive, pipelining one at a
 * time, upgrade to WebSocket.  Ceilings for line, headers and body, and for all bodies together; a request that takes longer than 30 s to arrive is answered 408.
 *
 * The handler gets the whole request and answers at once or later, from the loop of the connection: http_respond.  With `pool` set the handler runs on
 * a worker instead and may block; it then answers from there.  A request whose connection died may still be answered: nothing happens. */

#include <jansson.h>

#include "net/conn.h"
#include "base/pool.h"

struct http_request; /* owned by the server; valid until it is answered */

const char *http_method(const struct http_request *req);		   /* "GET" */
const char *http_path(const struct http_request *req);			   /* still percent-encoded, without the query */
const char *http_query(const struct http_request *req, const char *name);  /* decoded value, NULL when absent; the last one wins */
const char *http_header(const struct http_request *req, const char *name); /* any case; NULL when absent */
/* The header lines in their order; *at begins as 0.  false: there is no other. */
bool http_next_header(const struct http_request *req, size_t *at, const char **name, const char **value);
const void *http_body(const struct http_request *req, size_t *len);
struct conn *http_conn(const struct http_request *req);	     /* on the loop's thread only; NULL when it died */
struct cert *http_peer_leaf(const struct http_request *req); /* captured when the request began, so usable on a worker; borrowed */
const char *http_peer_name(const struct http_request *req);
bool http_peer_process(const struct http_request *req, struct peer_process *out);
/* The i-th segment of the path, percent-decoded; NULL past the end or when the decoding is malformed or yields NUL. */
const char *http_segment(const struct http_request *req, size_t i);
size_t http_n_segments(const struct http_request *req);
bool http_path_fits(const struct http_request *req, const char *pattern, const char **ids, size_t max); /* http_target_fits */

/* What a handler keeps for all requests of this one's connection, on the loop's thread: one thing, released with the connection or when another takes its
 * place.  When the connection died, http_keep releases at once. */
void *http_kept(const struct http_request *req);
void http_keep(struct http_request *req, void *kept, void (*release)(void *kept));
/* It is the caller's from now on, to be released by that, for the connection goes on as something else (http_switch).  NULL: there is nothing, or the connection died. */
void *http_take_kept(struct http_request *req, void (**release)(void *kept));

/* headers: "Name: value" lines, NULL-terminated, may be NULL.  Content-Length is added; body may be NULL. */
void http_respond(struct http_request *req, int status, const char *const *headers, const void *body, size_t len);
void http_respond_json(struct http_request *req, int status, const char *const *headers, json_t *body_take);

/* An answer whose end is not known when it begins: chunks (HTTP/1.0: until the connection ends), on the loop's thread only.  Begin; write, but no more than a
 * moderate piece before on_drain says that the peer has taken all of it; end, which gives the request back, also after on_gone.  The peer may go at any time: on_gone comes once,
 * and what is written after it goes nowhere.  What the peer sends meanwhile waits for the end, up to a ceiling.  Begin answers false when there is no stream: the peer is
 * gone, or asked for the head alone; the request has been given back then. */
struct http_stream_ops {
	void (*on_drain)(void *arg);
	void (*on_gone)(void *arg);
};
bool http_stream_begin(
	struct http_request *req, int status, const char *const *headers, const struct http_stream_ops *ops, void *arg);
void http_stream_write(struct http_request *req, const void *data, size_t len);
void http_stream_end(struct http_request *req);
void http_stream_abort(
	struct http_request *req, const char *why); /* end without an end: the peer notices that something is missing */

/* HTTP ends here: does the request ask for that?  Then http_switch, on the loop's thread, answers 101 and gives the connection away: the caller sets its ops and user.  NULL: it has
 * died.  Either way the request is answered. */
bool http_wants_upgrade(const struct http_request *req, const char *protocol);
struct conn *http_switch(struct http_request *req, const char *const *headers);

/* A body too large for memory goes to a sink instead, piece by piece on a worker, while the connection waits; the handler comes after the last one. */
struct http_sink {
	uint64_t max;							     /* a longer body is answered 413 */
	void (*write)(struct http_sink *sink, const void *data, size_t len); /* may block; keeps its failure for the handler */
	void (*free)(struct http_sink *sink);				     /* with the request, on the loop */
};
struct http_sink *http_sink_of(const struct http_request *req); /* borrowed; NULL: http_body has it */
/* An answer too large for memory is read from a source in the same way.  On the loop's thread. */
struct http_source {
	uint64_t len;							 /* what is left */
	int (*read)(struct http_source *source, void *data, size_t len); /* all of it, or -1: the answer breaks off */
	void (*free)(struct http_source *source);
};
void http_respond_from(struct http_request *req, int status, const char *const *headers, struct http_source *source_take);

struct http_server_config {
	void (*handle)(struct http_request *req, void *arg);
	void *arg;
	struct pool *pool; /* NULL: on the loop */
	/* With a pool, or NULL: asked first, on the loop.  True: it has answered, at once and without waiting for anything, so that nobody had to be woken. */
	bool (*handle_now)(struct http_request *req, void *arg);
	/* With a pool, or NULL: asked next, on the loop.  True: its handler may wait long for somebody else, and runs on `slow`, so that it keeps nobody waiting who needs `pool`. */
	bool (*is_slow)(struct http_request *req, void *arg);
	struct pool *slow;
	size_t max_body;   /* 0: 1 MiB */
	int64_t arrive_ms; /* from the first byte of a request to its last, unless it goes to a sink; 0: 30 s.  Then it is 408 */
	/* Of all bodies in memory together, 0: 256 MiB.  Beyond it a body that is more than a little is answered 503: anybody may send one, on as many
	 * connections as he is let open. */
	size_t max_bodies;
	struct http_sink *(*sink)(
		struct http_request *req, void *arg); /* asked when the head is here; NULL, or its answer: a body in memory */
	struct pool *streams;			      /* where sinks are written and sources read */
};
/* What to give a listener: ops and user. */
struct http_server;
struct http_server *http_server_new(const struct http_server_config *config);
void http_server_free(struct http_server *server);
/* The service is ending, on this loop's thread, the only one that it has connections on: those without a request are closed, the others with their answer.  Then `drained` is called,
 * once; at once when there are none. */
void http_server_drain(struct http_server *server, struct loop *loop, void (*drained)(void *arg), void *arg);
const struct conn_ops *http_server_ops(void);
void http_server_on_accept(struct conn *conn, void *server);
