/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where a gateway's routes come from: the desired properties of $edgeHub where the hub has routes there, else the operator's file, else the default.  A document that is wrong changes
 * nothing: the last good one stays, the hub's also through a restart (it is kept), and why is said.  Lives on one loop, whose calls may block for a moment. */

#include <jansson.h>

#include "net/loop.h"

struct routes;
struct route_source_config {
	const char *state_dir;
	const char *file; /* NULL: the operator has none */
	struct loop *loop;
	/* Takes them (borrowed), or says why not. */
	int (*apply)(void *arg, struct routes *routes, struct err *err);
	void *arg;
};
struct route_source;
struct route_source *route_source_open(const struct route_source_config *config); /* applies what there is */
void route_source_free(struct route_source *source);

/* All desired properties of $edgeHub, as the hub has them now; for edge_hub_watch.  -1: they are wrong, and nothing has changed; 0: they hold, and err
 * says what of them does nothing, if there is such. */
int route_source_desired(void *source, const json_t *desired, struct err *err);
