/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* All routes of a gateway and how long what they take is kept, from JSON as it stands in the desired properties of $edgeHub (gateway 4.2).  A document is taken as a whole or refused
 * as a whole; what the original overlooks is no mistake, but is remarked on.  No I/O; immutable once it is made, and shared by counting: any thread. */

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"
#include "wire/route.h"

#define ROUTES_MAX 128
#define ROUTES_JSON_MAX (256 * 1024)
#define ROUTE_PRIORITIES 11 /* 0, which goes first, to 9, and then those without one */
#define ROUTE_LOWEST (ROUTE_PRIORITIES - 1)
#define ROUTES_FOR_EVER (-1)

struct routes_row {
	char *name;
	struct route *route;
	int priority;  /* 0 to ROUTE_LOWEST */
	int64_t ttl_s; /* or ROUTES_FOR_EVER */
	size_t sink;   /* which of the sinks */
};

/* Where messages are to go: of each there is one, however many routes lead there.  Borrowed from a row. */
struct routes_sink {
	const char *module_id, *input; /* NULL: upstream */
};

struct routes {
	struct routes_row *row;
	struct routes_sink *sink;
	size_t n, n_sinks;
	uint64_t max_bytes; /* for all that is kept; 0: nothing was said */
	char *remarks;	    /* what is taken and does nothing, for whoever wrote it; NULL: there is none of that */
	_Atomic unsigned refs;
};

struct routes *routes_from_json(const json_t *desired, struct err *err);
struct routes *routes_parse(const char *text, size_t len, struct err *err);
struct routes *routes_default(void); /* everything to the hub, for ever */
struct routes *routes_ref(struct routes *routes);
void routes_free(struct routes *routes); /* one reference less */
OWN_DEFINE(routes);

/* What the routes make of a message: for each sink at most one row, that of the lowest priority number; fills `taken`, of n_sinks.  The number of them. */
size_t routes_take(const struct routes *routes, const struct route_message *message, const struct routes_row **taken);
