/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Modules' identities are asked of identityd, at the start until each has one, and now and then again: a module that was removed from the hub is made again, one that was made anew there has another
 * generation, and keys that somebody overwrote there are put right. */

#include "edged/edged.h"

struct identity_keeper;
/* All of it happens on a thread: what needs no identity is served meanwhile, also while the hub is away.  begun is called there, once: when $edgeHub has its identity, for the gateway can't
 * begin without, and each of the others was asked for once. */
struct identity_keeper *identity_keeper_start(struct edged *edged, void (*begun)(void *arg), void *arg);
/* NULL is fine.  False: it still waits for an answer, as the hub may be away, and goes on using what it was given: end the process, there is nothing to lose. */
bool identity_keeper_stop(struct identity_keeper *keeper);
/* At once: somebody says that the hub refuses an identity, or has changed one.  Any thread. */
void identity_keeper_look(struct identity_keeper *keeper);
