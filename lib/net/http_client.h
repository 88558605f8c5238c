/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One HTTP exchange; blocks, so call it on a worker.  Over https the server's chain and name are judged by pki/chain, the same decision as everywhere, and the verdict is
 * handed out.  Redirects are not followed; time, header and body have ceilings; a proxy comes from HTTPS_PROXY and NO_PROXY (http_proxy.h). */

#include <stdatomic.h>

#include <jansson.h>

#include "base/buf.h"
#include "diag/verdict.h"
#include "net/conn.h"
#include "pki/cert.h"
#include "pki/chain.h"

/* A connection to one server, kept from one exchange to the next; what binds a request to it (conn_channel_binding) is known before the request is made.  Of the thread that uses it. */
struct http_session;
struct http_session *http_session_new(void);
void http_session_free(struct http_session *session);
OWN_DEFINE(http_session);

struct http_call {
	const char *method, *url; /* "http://x/path" with unix_path, or "https://host[:port]/path" */
	const char *unix_path;
	const char *connect_to;	    /* TCP goes there, name checks stay with the URL's host */
	const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
	const void *body;
	size_t body_len;
	struct anchors *anchors;   /* https: what the server is judged by */
	const struct certs *chain; /* own certificate, or NULL */
	const struct key *key;
	int64_t timeout_ms; /* 0: 30 s */
	int64_t connect_ms; /* of which TCP and TLS may take so much; 0: all.  A network that swallows packets is known sooner than a server that is slow */
	size_t max_body; /* 0: 4 MiB */
	const atomic_bool
		*cancelled; /* becomes true when nobody needs the answer any more: looked at five times a second; may be NULL */
	/* With a status of 2xx: given the body as it comes, which is then not kept and has no ceiling; false ends the exchange, which counts as answered.
	 * timeout_ms is then the time without a byte. */
	bool (*on_body)(void *arg, const void *data, size_t len);
	void *arg;
	const char *who; /* who asks, for the verdict: "edge" */
	/* In place of these four, shared by many calls: the thread keeps the connection, and its next exchange of the same client with the same server, within a minute, goes over it;
	 * answer.verdict is then NULL, for that server was judged before. */
	struct tls_client *tls;
	struct http_session
		*session; /* NULL: a connection of its own.  All calls of a session are to the same server, as the same caller */
	bool bound;	  /* on the session's connection as it is, or not at all: ERR_UNAVAILABLE */
};

struct http_answer {
	int status;
	struct buf body;
	char *etag, *content_type;
	char *error_code, *continuation; /* "iothub-errorcode", "x-ms-continuation" */
	char *retired_roots;		 /* "x-rootedge-retired-roots" (pki/root_line.h) */
	char *hub;			 /* "x-rootedge-hub", what a gateway says of it; all six NULL when absent */
	int64_t retry_after_s;		 /* -1 when absent */
	int64_t retry_at;		 /* the same as a date, by the server's clock; -1 when absent */
	int64_t date;			 /* the server's clock, seconds UTC; -1 when it doesn't say */
	struct verdict *verdict;	 /* about the server, https only; also filled when the exchange failed because of it */
};
void http_answer_clear(struct http_answer *answer);

/* Without a request: afterwards the session has its connection. */
int http_connect(const struct http_call *call, struct err *err);
/* Returns how many bytes bind to the session's connection; 0: there is none, or none of TLS. */
size_t http_session_binding(const struct http_session *session, uint8_t out[static CONN_BINDING_MAX]);

int http_fetch(struct http_answer *out, const struct http_call *call, struct err *err);
/* The same with JSON: `body` may be NULL and is borrowed; the answer's body is parsed for 2xx (NULL when empty).  A status of 400 and above is a failure whose
 * kind follows from it (401/403 DENIED, 404 MISSING, 409/412 CONFLICT, 429 LIMIT, 5xx UNAVAILABLE) and whose sentence has the server's message. */
int http_fetch_json(json_t **out, struct http_answer *answer, const struct http_call *call, const json_t *body, struct err *err);
