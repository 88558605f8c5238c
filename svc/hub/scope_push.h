/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Gateways are told what has changed below them: by the direct method RefreshDeviceScopeIdentityCache of $edgeHub, {"deviceIds": [...]}, which the original's gateways know too
 * (gateway 2.8).  One call at a time and about one a second a gateway, with all names that have come together.  Ours ask what has changed after any call; an empty list, which the
 * original's gateways overlook, is sent where nothing that has a name did: the CAs, or more than are counted.  Who isn't connected is not waited for: a gateway asks for itself when it comes. */

#include "heads/method.h"
#include "hub/registry/registry.h"
#include "hub/registry/scope_journal.h"

struct scope_push;
/* Watches the journal from now on; calls from the loop.  All is borrowed. */
struct scope_push *scope_push_new(
	struct scope_journal *journal, struct registry *registry, struct methods *methods, struct loop *loop);
void scope_push_stop(struct scope_push *push); /* when the loop has ended and the worker too: no more calls */
void scope_push_free(struct scope_push *push); /* after the loop was freed */
