/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* When to ask the hub for the scope: at the start, when it says that something has changed, as refresh_pace.h says, soon after the hub was away, and again until it answers; and
 * when to save what single questions changed.  Lives on one loop. */

#include "base/pool.h"
#include "gateway/scope/scope.h"
#include "net/loop.h"

struct refresher;
struct refresher *refresher_new(struct loop *loop, struct pool *workers, struct scope *scope); /* begins at once */
/* When its loop has ended, before the workers do: nothing is asked any more. */
void refresher_stop(struct refresher *refresher);
/* After the workers have stopped and the loop is finished. */
void refresher_free(struct refresher *refresher);
/* The hub answers again: ask it, if it did not answer last time. */
void refresher_hurry(struct refresher *refresher);
/* Any thread, never blocks: it is said that these names ("DEVICE" or "DEVICE/MODULE") have changed at the hub, as its method RefreshDeviceScopeIdentityCache says it; n 0: something
 * may have, because nobody could have told us.  Names that come together are asked for together. */
void refresher_changed(struct refresher *refresher, const char *const *names, size_t n);
