/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A hub's REST API for its operator: requests signed with a policy's key, over a connection whose server is judged. */

#include <stdbool.h>

#include "pki/chain.h"
#include "wire/connstr.h"
#include "wire/json.h"

struct hub_session {
	struct connstr *hub; /* its HostName may carry a port */
	struct anchors *anchors;
	const char *connect_to; /* an address, or NULL; borrowed */
	char *etag;		/* of the last answer, or NULL */
	int64_t timeout_ms;	/* for one request; 0: 30 s */
};

/* By the connection string of a policy, and the file of the roots that the hub's certificate is trusted by. */
int hub_session_open(
	struct hub_session *s, const char *connection_string, const char *ca_path, const char *connect_to, struct err *err);
void hub_session_clear(struct hub_session *s);

/* All borrowed; NULL where not needed. */
struct hub_request {
	const char *method, *path; /* "devices/ID" */
	const char *query;	   /* behind the api-version: "top=5" */
	const json_t *body;	   /* or raw bytes: */
	const void *raw;
	size_t raw_len;
	const char *const *headers; /* "Name: value", NULL-terminated */
};
/* *out belongs to the caller, and is NULL where the answer is empty; *continuation (may be NULL) where there are no further pages. */
int hub_session_ask(struct hub_session *s, const struct hub_request *request, json_t **out, char **continuation, struct err *err);
/* The same for the usual case; `replace`: whatever is there. */
int hub_session_request(struct hub_session *s, const char *method, const char *path, const json_t *body, bool replace, json_t **out,
	struct err *err);
/* What is behind a path that gives under a lock, all of it: a list of the pieces, each removed there once it is here. */
int hub_session_take(struct hub_session *s, const char *path, json_t **out, struct err *err);
/* GET a stream, and give what comes to on_body (http_client.h) until it ends.  last_id: of the last event seen, or "". */
int hub_session_stream(struct hub_session *s, const char *path, const char *last_id,
	bool (*on_body)(void *arg, const void *data, size_t len), void *arg, struct err *err);
