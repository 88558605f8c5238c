/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Requests of the local services by one table (edge-services 0.1): api-version first, then path and version, then method; JSON in and out; errors as
 * {"message":"..."}.  Handlers run on workers and may block. */

#include <jansson.h>

#include "net/http_server.h"

#define ENDPOINT_VARS_MAX 4

struct endpoint_call {
	struct http_request *request;
	const char *var[ENDPOINT_VARS_MAX]; /* decoded path variables, in order */
	json_t *body;			    /* an object, or NULL when none came */
	struct peer_process process;
	bool has_process;
	void *door; /* what the listener was opened with */
};

struct endpoint {
	const char *method;	 /* "GET", "POST", "PUT", "DELETE" */
	const char *path;	 /* "/key/{}", "{}" for one variable */
	const char *min_version; /* "2020-09-01" */
	/* The status of success (200, 201; 204 without *answer), or -1 with err, or -STATUS with err where the kind of failure doesn't say it. */
	int (*handle)(const struct endpoint_call *call, json_t **answer, struct err *err);
};
#define ENDPOINT_LATER (-1000)

/* Texts that the body of an endpoint has, "keyId usage keyBytes?" ("?": or not).  Without them it is 422 before anything else is looked at; a body that is missing is the handler's
 * business. */
struct endpoint_body {
	const char *method, *path; /* as in the table of endpoints */
	const char *members;
};

/* An endpoint whose handler may wait for who is not on this box, the hub say: it then keeps only its like waiting. */
struct endpoint_wait {
	const char *method, *path; /* as in the table of endpoints */
	/* Whether this call may; on the loop, where nothing may wait.  NULL: each does. */
	bool (*waits)(const struct endpoint_call *call);
};

struct endpoint_table {
	const struct endpoint *endpoints;
	size_t n_endpoints;
	/* Tried first, on the loop, where nothing may wait; a handler that answers ENDPOINT_LATER leaves it to the one above.  Or NULL. */
	const struct endpoint *quick;
	size_t n_quick;
	const struct endpoint_body *bodies; /* or NULL */
	size_t n_bodies;
	const struct endpoint_wait *waits; /* or NULL */
	size_t n_waits;
	const char *const *versions; /* all api-versions that are known, NULL-terminated, oldest first */
	int denied_status;	     /* what ERR_DENIED becomes: 401 of the aziot services, 403 of edged */
	int missing_status;	     /* what ERR_MISSING becomes: 400 of the aziot services, 404 of edged */
	bool hide_failures;	     /* 500 says "internal error" only; the log has the rest */
	/* Whom it is told nevertheless, as causes behind that; NULL: nobody. */
	bool (*may_see_causes)(const struct endpoint_call *call);
	size_t n_workers; /* how many handlers may block at a time; 0: LOCAL_WORKERS */
};

/* One listener's way into a table. */
struct endpoint_door {
	const struct endpoint_table *table;
	void *door;
};
void endpoint_handle(struct http_request *request, void *endpoint_door);     /* for http_server_config.handle */
bool endpoint_handle_now(struct http_request *request, void *endpoint_door); /* and handle_now */
bool endpoint_is_slow(struct http_request *request, void *endpoint_door);    /* and is_slow */
