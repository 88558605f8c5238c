/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Going on with registrations until each is where it belongs (registration.h has the states).  One is gone on with when the device registers or asks how that goes, and by a timer, with longer and
 * longer pauses, over restarts too.  What is done in our hub is done at once, on the worker; what a linked hub or a web hook is asked for blocks on a pool of its own, of which no single one of them has
 * all threads, so that one that is slow or away keeps only those waiting who are for it.
 *
 * The order of writing: the claim, the device in the new hub, assigned, the device out of the old hub.  There is no moment at which it is in none. */

#include "hub/provisioning/provisioning_inside.h"
#include "hub/provisioning/registration.h"

enum pursuit_end {
	PURSUIT_DONE,	 /* it is assigned */
	PURSUIT_AWAY,	 /* somebody is asked, or will be; what is known is on disk */
	PURSUIT_REFUSED, /* number and err say why */
	PURSUIT_BROKEN,	 /* ours: err */
};
struct pursuit_answer {
	enum pursuit_end end;
	int number;
	struct err err;
};
/* A question of the device, on the worker: as far as it goes at once.  r is changed; refused or broken, it need not be on disk. */
struct pursuit_answer pursuit_begin(struct provisioning *p, struct registration *r, const struct enrollment *e);
/* Somebody asks, or it is due: unless it is under way already.  What becomes of it is on disk. */
void pursuit_wake(struct provisioning *p, const struct registration *r);
bool pursuit_is_running(struct provisioning *p, const char *id);

/* The timer of all of them; on its loop, or before that runs. */
int pursuits_open(struct provisioning *p, struct err *err);
void pursuits_stop(struct provisioning *p); /* no new ones; what is away comes back */
void pursuits_close(struct provisioning *p);
