/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The gateway itself as the hub sees it: the module $edgeHub of the edge device, connected for as long as the gateway runs, with methods of its own and a twin whose desired
 * properties say what the gateway is to do (gateway 4.2).  Lives on the loop of its lines. */

#include <jansson.h>

#include "gateway/edge_hub/client_list.h"
#include "gateway/twins/twins.h"
#include "gateway/upstream/lines.h"

#define EDGE_HUB_METHODS_MAX 16
#define EDGE_HUB_WATCHERS_MAX 8

struct edge_hub;
/* Reports what changes in `clients`, which is borrowed. */
struct edge_hub *edge_hub_new(struct lines *lines, struct twins *twins, struct client_list *clients);
void edge_hub_start(struct edge_hub *edge_hub); /* before the loop runs, when all below is said */
void edge_hub_free(struct edge_hub *edge_hub);	/* after the lines */

/* Called with the desired properties ($version among them), on the loop of the lines: as they were kept, at the start, were that years ago; and whenever they have changed.  -1: it does not
 * go by them, and `err` is reported to the hub as lastDesiredStatus; the first that says so.  0: it does, and what `err` says nevertheless
 * is reported beside the 200. */
void edge_hub_watch(struct edge_hub *edge_hub, int (*desired)(void *arg, const json_t *desired, struct err *err), void *arg);
/* Called on that loop each time the hub can call methods again: what it would have called meanwhile is to be asked for.  There is one. */
void edge_hub_watch_link(struct edge_hub *edge_hub, void (*listens)(void *arg), void *arg);
/* On the loop: reported properties, as a merge.  Kept, and pushed when the hub is there. */
void edge_hub_report(struct edge_hub *edge_hub, json_t *patch_take);
/* What its twin has become: struct relay_config.on_own_news. */
void edge_hub_news(void *edge_hub, const json_t *twin);

/* A direct method of $edgeHub: returns the status, and in *result what the caller gets (NULL: null).  It must not block.  The payload is JSON, or NULL when there was none. */
struct edge_hub_method {
	const char *name; /* a constant */
	int (*run)(void *arg, const json_t *payload, json_t **result);
	void *arg;
};
void edge_hub_serve(struct edge_hub *edge_hub, const struct edge_hub_method *method);
