/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A carrier (strand.h) that we open: an HTTP request that asks the server to go on in strands, and its answer; by way of a proxy, where there is one.  Lives on one loop; no callback comes from within carrier_dial.
 *
 * The stream after 101 is frames of strands and nothing else.  WebSocket was meant for them at first; its masks and its heads would have cost each side a pass over all bytes, and bring nothing to a
 * connection whose TLS ends at these two. */

#include "diag/verdict.h"
#include "net/conn.h"
#include "net/http_proxy.h"
#include "net/strand.h"

enum carrier_dial_end {
	CARRIER_DIAL_UNREACHABLE, /* no connection, or no answer on it */
	CARRIER_DIAL_UNTRUSTED,	  /* we don't trust the server: see the verdict */
	CARRIER_DIAL_REFUSED,	  /* an answer, but another than yes: see the status */
	CARRIER_DIAL_NO_TUNNEL,	  /* the proxy was not reached, or does not lead there */
};

struct carrier_dial_ops {
	/* About the server, before anything is sent to it; borrowed.  May be NULL. */
	void (*on_verdict)(void *arg, const struct verdict *verdict);
	/* One of these, once; the dial is gone after it. */
	void (*on_up)(void *arg, struct conn_carrier *carrier);
	void (*on_failed)(void *arg, enum carrier_dial_end end, int status, const char *why);
};

struct carrier_dial_config {
	struct conn_target target;	    /* with TLS */
	const struct http_proxy *proxy;	    /* on the way; NULL: none */
	const char *path;		    /* of the request, with its query */
	const char *authorization;	    /* a token */
	struct conn_carrier_config carrier; /* what it becomes; copied */
	const struct carrier_dial_ops *ops;
	void *arg;
	int64_t answer_within_ms; /* 0: 30 s */
};

struct carrier_dial;
struct carrier_dial *carrier_dial(struct loop *loop, const struct carrier_dial_config *config, struct err *err);
void carrier_dial_cancel(struct carrier_dial *dial); /* nothing is called any more */
