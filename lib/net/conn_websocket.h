/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Protocols in WebSockets (RFC 6455), on the port of an HTTP server: the handshake is a request like others, then a framing takes the messages off, and the protocol's own connection goes on
 * as if it had been accepted on a port of its own, with the peer's certificate and all.
 *
 * Binary messages only, no extensions.  A close from either side is answered or said, and the socket does not outlive it for more than a second. */

#include "net/http_server.h"

struct websocket_service {
	const char *path;	 /* decoded; "*": any */
	const char *subprotocol; /* that clients must offer, in any case */
	/* What a listener would be given. */
	const struct conn_ops *ops;
	void (*on_accept)(struct conn *conn, void *user);
	void *user;
};

/* Answer the request if it asks for a WebSocket at a path of these services, which end with one without a path; several may share a path and differ in their subprotocol.  false: it is
 * something else.  On the loop's thread. */
bool websocket_serve(struct http_request *req, const struct websocket_service *services);
