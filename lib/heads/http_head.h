/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* HTTPS as a hub or gateway speaks it to devices (hub 2.1, 2.2, clients-observed 4): events one by one or as a batch, commands received and settled, each request for itself.
 *
 * There is no session, but a connection that sends many requests pays for one decision: what was decided is kept with the connection, bound to the identity and to the
 * evidence (the token, or the certificate of the connection), until the token ends or the back end says that something has changed (head_ops.stands).  Then it is asked again. */

#include "heads/head.h"
#include "net/http_server.h"

/* Why a request fails; how that is told is the service's. */
enum http_head_error {
	HTTP_HEAD_BAD_ID,
	HTTP_HEAD_UNAUTHORIZED,
	HTTP_HEAD_BAD_MESSAGE,
	HTTP_HEAD_TOO_LARGE,
	HTTP_HEAD_LOCK_LOST,
	HTTP_HEAD_UNAVAILABLE,
	HTTP_HEAD_ERROR_COUNT
};

struct http_head_config {
	const struct head_ops *ops;
	void *backend;
	void (*fail)(struct http_request *req, enum http_head_error error, const char *words);
};
struct http_head;
struct http_head *http_head_new(const struct http_head_config *config);
void http_head_free(struct http_head *head);
/* On the loop of the connection.  false: this is no request of a device, and nothing has happened. */
bool http_head_take(struct http_head *head, struct http_request *req);
/* Let whoever sent this in as the identity that he says he is, as one of those: for requests about something else.  `then` is called on the loop, at once or later, with the back end's domain,
 * which is good for the call; or, when he was refused and answered, with NULL for both.  The ids are borrowed until then. */
void http_head_admit(struct http_head *head, struct http_request *req, const char *device_id, const char *module_id,
	void (*then)(struct http_request *req, void *domain, void *arg), void *arg);
/* The module that calls, as it says in x-ms-edge-moduleId: "device/module", each percent-encoded (hub 2.3).  false: it is not there, or is not two ids. */
bool http_head_module(const struct http_request *req, struct buf *device_id, struct buf *module_id);
