/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Does keyd answer?  Who lets nobody in for an hour would otherwise learn of a keyd that hangs by the first who comes (keyd_client_silent_ms).  A question now and then, only where nobody else asks: on a worker. */

#include "base/pool.h"
#include "keyd/client.h"
#include "net/loop.h"

struct keyd_watch;
/* All borrowed.  key_id: of a key pair that keyd has. */
struct keyd_watch *keyd_watch_new(struct loop *loop, struct pool *workers, struct keyd_client *keyd, const char *key_id);
void keyd_watch_stop(struct keyd_watch *watch); /* before the workers end: they don't wait for an answer then */
void keyd_watch_free(struct keyd_watch *watch); /* after the workers, and what they told the loop */
