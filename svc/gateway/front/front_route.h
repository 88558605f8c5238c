/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The gateway's own API over HTTPS: what may be asked for, by method and path.  Who asks is found out by each handler, for it is told in ways of its own. */

#include "gateway/front/front_turns.h"
#include "gateway/front/hub_news.h"
#include "gateway/scope/scope.h"
#include "heads/http_head.h"
#include "heads/method.h"

#define FRONT_IDS_MAX 2

/* What handlers need; borrowed. */
struct front_api {
	const char *edge_id;	   /* the device that this gateway is */
	struct http_head *devices; /* decides about callers */
	struct scope *scope;
	struct methods *methods;
	struct upstream *upstream;
	struct front_turns *turns; /* the front's */
	struct hub_news *news;
	bool is_stopping;
	struct pool *questions; /* to those above, of gateways below: not those that devices wait for */
};

struct front_route {
	const char *method, *path; /* "*" stands for an id, which is decoded and checked for its alphabet */
	void (*handle)(const struct front_api *api, struct http_request *req, const char *const *ids);
};

extern const struct front_route front_method_routes[], front_scope_routes[], front_registry_routes[];

/* false: nothing of the API is asked for. */
bool front_route(const struct front_api *api, struct http_request *req);

/* {"message": ..., "errorMessage": ...}, as callers of either kind read it.  The code, for callers that want one, goes to the header iothub-errorcode; NULL: none. */
/* 429: come again after so many seconds. */
void front_fail_for_now(struct http_request *req, int64_t after_s, const char *words);
__attribute__((format(printf, 4, 5))) void front_fail(struct http_request *req, int status, const char *code, const char *fmt, ...);
