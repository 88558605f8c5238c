/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside pursuit: one that is under way.  It belongs to the worker, and while it waits or is away to the pool. */

#include "hub/provisioning/errand.h"
#include "hub/provisioning/pursuit.h"
#include "hub/provisioning/webhook.h"

enum pursuit_what { PURSUIT_NOTHING, PURSUIT_ERRAND, PURSUIT_HOOK };

struct pursuit {
	struct provisioning *provisioning;
	char *id, *operation; /* of its registration */
	bool is_first;	      /* nothing was asked of any hub for it before */

	/* What is asked, and comes back with an answer. */
	enum pursuit_what what;
	char *host; /* whom: of linked hubs and web hooks each has a lane of its own */
	struct linked_hub *hub;
	struct errand errand;
	struct webhook hook;

	/* What it has in the hub that it leaves. */
	bool has_looked;
	struct identity *left; /* NULL: it is not there */
	json_t *left_twin;

	bool waits, is_away; /* for a thread of the pool, on one; under the lock of all */
	bool goes_on;	     /* with what it heard: somebody else is to be asked */
	struct job ask, hear;
	struct pursuit *next;
};

#define PURSUIT_RUNNING_MAX 1024
#define PURSUIT_LEASE_S 120 /* somebody works on it: the timer leaves it alone for so long */
struct pursuit *pursuit_new(struct provisioning *p, const struct registration *r);
void pursuit_free(struct pursuit *u);				      /* it is running no more */
void pursuit_forget(struct pursuit *u, const struct registration *r); /* what it has heard */
/* Away, at once or when its lane is free; it comes back to pursuit_go_on.  What it asks is its last word until then. */
void pursuit_send(struct pursuit *u);
bool pursuit_go_on(struct pursuit *u); /* on the worker; true: it is to be sent, false: it is over */
int64_t pursuit_pause_s(int tries);
