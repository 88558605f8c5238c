/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How a line (line.h) gets to the hub: when its turn has come (pacer.h), carried by the connection of all or by one of its own (carrier.h), and with which token.  Embedded in the line, on its loop. */

#include "gateway/gauges/carriage.h"
#include "gateway/upstream/carrier.h"
#include "gateway/upstream/link_token.h"
#include "gateway/upstream/pacer.h"

struct lines;
struct line_way {
	struct lines *lines;
	struct device_link *link;
	void (*prepare)(struct line_way *way); /* it is about to connect */
	bool is_own;			       /* $edgeHub's */
	struct pacer_turn turn;
	struct carrier_ride ride;
	struct link_token token;
	bool is_carried; /* the connection that it has, or is about to make */
	enum carriage_line counted;
	struct timer join;
};

/* The link is the line's, and goes before the way is cleared. */
void line_way_init(struct line_way *way, struct lines *lines, void (*prepare)(struct line_way *way), bool is_own);
void line_way_clear(struct line_way *way); /* once no job of its is on the pool */

void line_way_ask(struct line_way *way, bool is_urgent);	/* struct device_link_ops.ask_token */
void line_way_set_urgent(struct line_way *way, bool is_urgent); /* while it waits for its turn */
bool line_way_is_asking(const struct line_way *way);		/* something of it will come back */
void line_way_up(struct line_way *way);
void line_way_down(struct line_way *way, enum pacer_end how);
void line_way_hang_up(struct line_way *way); /* it is not to be connected (any more) */
/* There is a connection of all now, and it has one of its own: it comes over within this time, or later, at a moment when nothing is in flight. */
void line_way_join(struct line_way *way, int64_t within_ms);
bool line_way_is_alone(const struct line_way *way); /* and connected */
