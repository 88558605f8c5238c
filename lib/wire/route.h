/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Routes of a gateway (gateway 4.2): which messages go where.
 *
 *	[SELECT *] FROM source [WHERE condition] INTO $upstream | BrokeredEndpoint("/modules/ID/inputs/NAME")
 *
 * A source is a path of which each message has one, and takes all that begin with it; "*" at its end says the same:
 *
 *	/messages/events                      of a device below the gateway
 *	/messages/modules/M[/outputs/O]       of a module of the gateway's own device
 *	/twinChangeNotifications
 *
 * The condition is the query language (query.h) with || for CONCAT, ?? and TWIN_CHANGE_INCLUDES(path).  A name is a property of the message, in any case of its letters;
 * $name a property too, or else a system property (contentType, connectionDeviceId ...), {$name} the system property in any case; $body.path is of the payload where that is JSON and
 * the message says so (content type application/json, content encoding utf-8, utf-16 or utf-32).  Properties are texts: what compares them with numbers is refused, AS_NUMBER helps.
 * What is undefined makes a comparison undefined, and only what is true takes a message.
 *
 * No I/O; a parsed route is immutable and may be used by any thread, a view by one. */

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"
#include "base/rd.h"

#define ROUTE_MAX 8192 /* characters: those of a query */
#define ROUTE_INPUT_MAX 64
#define ROUTE_SOURCE_PARTS 5

struct query_node;

struct route {
	char *source; /* as it was written */
	struct slice parts[ROUTE_SOURCE_PARTS];
	size_t n_parts;
	struct query_node *where;
	char *module_id, *input; /* NULL: $upstream */
};

/* The error says where ("at character 17") and why. */
struct route *route_parse(const char *text, struct err *err);
void route_free(struct route *route);
OWN_DEFINE(route);

bool route_is_of_twin_changes(const struct route *route); /* and of nothing else */

/* A message, borrowed. */
struct route_message {
	struct slice device_id, module_id; /* who sent it; module_id empty: a device */
	bool is_own;			   /* a module of the gateway's own device */
	bool is_twin_change;
	struct slice bag, payload;
	int64_t enqueued_ms;
};

/* What routes see of it, made when the first asks. */
struct route_view {
	const struct route_message *message;
	char *output;
	json_t *row; /* properties, system properties and $body */
	bool has_output, has_body;
};
void route_view_init(struct route_view *view, const struct route_message *message);
void route_view_clear(struct route_view *view);
bool route_takes(const struct route *route, struct route_view *view);
const char *route_view_output(struct route_view *view); /* what $.on says, or NULL */
