/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The one connection to the hub, or the gateway above, that carries the lines (net/strand.h), opened by $edgeHub's token when a line wants to connect.  Whether there is one is the other side's to say:
 * where it carries nobody, each line connects by itself, and it is asked again after a while.
 *
 * A hub that is away looks the same on both of its ports, and without the one of HTTPS no line but $edgeHub's is of use, since none is confirmed (line.h): so when this connection can't be made the others wait for
 * the next attempt, and only that one tries by itself.  Is it up, so is this connection tried again by itself: who went alone would not ask before its own token ends.  A refusal of this connection alone says nothing about them: a proxy may refuse an Upgrade.  So only 401, 429 and 503 are waited for, and that not for long
 * where $edgeHub's line is up; after any other answer each line connects by itself for a while.
 *
 * It follows its token: before that ends another one is made, and lines go over to it as they renew their own.  Lives on the loop of the lines. */

#include "base/pool.h"
#include "gateway/upstream/upstream.h"
#include "net/loop.h"
#include "net/strand.h"

enum carrier_way {
	CARRIER_CARRIED, /* carrier_now has it */
	CARRIER_ALONE,	 /* by a connection of one's own */
	CARRIER_NONE,	 /* the hub can't be reached now */
	CARRIER_NOT_NOW, /* nor this, but the hub may well be there: it refuses us, or we could not ask */
};

/* A line that asks, embedded. */
struct carrier_ride {
	void (*decided)(struct carrier_ride *ride, enum carrier_way way, const char *why);
	bool is_own; /* $edgeHub's */
	struct carrier_ride *next, **link;
};

struct carrier_config {
	struct loop *loop;
	struct pool *workers;
	struct upstream *upstream;
	void (*on_way)(void *arg, bool is_alone); /* the lines' from now on; each that is alone takes a descriptor */
	void (*on_up)(void *arg);		  /* there is one: who is alone may come over */
	void *arg;
};

struct carrier;
struct carrier *carrier_new(const struct carrier_config *config);
void carrier_stop(struct carrier *carrier); /* begins nothing new */
void carrier_free(struct carrier *carrier); /* after the workers have stopped and the loop is finished */

/* How shall it connect?  `decided` is called once, perhaps at once, unless it leaves before. */
void carrier_ask(struct carrier *carrier, struct carrier_ride *ride);
void carrier_leave(struct carrier *carrier, struct carrier_ride *ride);
struct conn_carrier *carrier_now(void *carrier); /* NULL: it was lost */

void carrier_own_is(struct carrier *carrier, bool up); /* $edgeHub's line */
void carrier_look_again(struct carrier *carrier);      /* the hub was lost, and may be another one when it is back */
void carrier_trust(struct carrier *carrier);	       /* by what upstream_tls has now */
