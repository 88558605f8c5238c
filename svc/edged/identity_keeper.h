/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Modules' identities are asked of identityd, at the start until each has one, and now and then again: a module that was removed from the hub is made again, one that was made anew there has another
 * generation, and keys that somebody overwrote there are put right. */

#include "edged/edged.h"

struct identity_keeper;
/* Returns when $edgeHub has its identity, for the gateway can't begin without; the rest happens on a thread. */
struct identity_keeper *identity_keeper_start(struct edged *edged);
void identity_keeper_stop(struct identity_keeper *keeper); /* NULL is fine */
/* At once: somebody says that the hub refuses an identity, or has changed one.  Any thread. */
void identity_keeper_look(struct identity_keeper *keeper);
