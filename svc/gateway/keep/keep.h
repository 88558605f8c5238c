/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the gateway keeps on its disk about downstream identities, so that a device finds all as it left it while the hub is away: texts by name, encrypted under a key that is
 * itself kept encrypted by the workload API; and their subscriptions.  A file that can't be read any more, as after the device was provisioned anew, is set aside.  All of it is
 * read and written on one worker. */

#include "base/buf.h"
#include "base/pool.h"
#include "edged/client.h"
#include "gateway/keep/freshness.h"
#include "heads/subscriptions.h"

struct keep;
/* Asks the workload API for the key, and keyd whether this is what was written last (freshness.h; what is not is set aside): blocks, and fails while they can't be asked. */
struct keep *keep_open(const char *state_dir, const struct workload *workload, struct freshness *freshness, struct err *err);
void keep_stop(struct keep *keep);  /* ends the worker, when it has done all that it was given */
void keep_close(struct keep *keep); /* after keep_stop */

/* On the worker; false: too much waits.  Jobs of one group share a transaction: what they wrote is durable when that ends, or none of it is. */
bool keep_work(struct keep *keep, struct job *job);
int keep_begin(struct keep *keep, struct err *err);
int keep_end(struct keep *keep, int done, struct err *err);

/* Of the rest: on the worker, or before there is anything on it. */
int keep_get(struct keep *keep, const char *name, struct buf *text, struct err *err); /* 1, or 0: there is none */
int keep_put(struct keep *keep, const char *name, const void *text, size_t len, bool is_due, struct err *err);
int keep_remove(struct keep *keep, const char *name, struct err *err);
/* All that were put with is_due. */
int keep_each_due(struct keep *keep, void (*each)(void *arg, const char *name), void *arg, struct err *err);

struct subscriptions_keeper keep_subscriptions(struct keep *keep);
