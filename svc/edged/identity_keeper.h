/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Modules' identities are asked of identityd, at the start until each has one, and now and then again: a module that was removed from the hub is made again, one that was made anew there has another
 * generation, and keys that somebody overwrote there are put right.  What identityd kept of them serves until the hub has answered. */

#include "edged/edged.h"
#include "identityd/client.h"

struct identity_keeper;
/* All of it happens on a thread: what needs no identity is served meanwhile, also while the hub is away.  begun is called there, once: when $edgeHub has its identity, for the gateway can't
 * begin without, and each of the others was asked for once. */
struct identity_keeper *identity_keeper_start(struct edged *edged, void (*begun)(void *arg), void *arg);
/* NULL is fine.  False: it still waits for an answer, as the hub may be away, and goes on using what it was given: end the process, there is nothing to lose. */
bool identity_keeper_stop(struct identity_keeper *keeper);
void identity_keeper_free(struct identity_keeper *keeper); /* once it has stopped, and nobody asks it any more */
/* A module names a generation that we don't know: the hub is asked soon, but not more often than so that a module that goes on about it is no burden.  Any thread. */
void identity_keeper_doubt(struct identity_keeper *keeper, struct module *module);
/* The gateway has reached the hub: what serves only because it was kept is asked about now, and not at the next look.  Any thread. */
void identity_keeper_hub_reached(struct identity_keeper *keeper);
/* What identityd has just said of a module of this box.  Another generation of $edgeHub ends us, so that the gateway is told when we begin again. */
int identity_keeper_take(struct edged *edged, struct module *module, const struct edge_identity *identity, struct err *err);
