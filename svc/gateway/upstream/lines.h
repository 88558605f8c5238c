/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* All lines (line.h), by the names of their identities, and what they learn together: whether the hub is there.  On one loop. */

#include "base/pool.h"
#include "gateway/scope/scope.h"
#include "gateway/upstream/carrier.h"
#include "gateway/upstream/line.h"
#include "gateway/upstream/pacer.h"
#include "net/loop.h"

struct lines_config {
	struct loop *loop;
	struct pool *workers; /* for what blocks: signatures, questions to the hub */
	struct upstream *upstream;
	struct scope *scope;
	int64_t connects_per_second;	   /* 0: any number */
	void (*on_hub_reached)(void *arg); /* on the loop, when the hub answers on a line again after it was away */
	void (*on_own_lost)(void *arg);	   /* on the loop, when $edgeHub's own is lost, or could not be had: it may be refused */
	void (*on_way)(void *arg, bool is_alone); /* on the loop: carrier_config */
	void *arg;
};

struct lines *lines_new(const struct lines_config *config);
/* Begin nothing new: once the loop no longer runs, before the workers are stopped. */
void lines_stop(struct lines *lines);
/* After the workers have stopped and the loop is finished, before it is freed. */
void lines_free(struct lines *lines);

/* On the loop: there is a new line, which nobody has told anything yet. */
void lines_on_new(struct lines *lines, void (*on_new)(void *arg, struct line *line), void *arg);
struct line *lines_get(struct lines *lines, const char *device_id, const char *module_id);  /* there is one from now on */
struct line *lines_find(struct lines *lines, const char *device_id, const char *module_id); /* NULL: nobody needed one so far */

void lines_drop(struct lines *lines, struct line *line); /* by itself: nobody needs it, and it is freed */

const struct lines_config *lines_config(const struct lines *lines);
struct carrier *lines_carrier(const struct lines *lines);
struct pacer *lines_pacer(const struct lines *lines);
/* A line could not reach the hub, and none has had an answer since. */
bool lines_is_hub_away(const struct lines *lines);
/* By lines.  is_for_all: by the gateway's own line, or by what would carry all; the hub also closes that of a device alone, when it is deleted say. */
void lines_unreached(struct lines *lines, bool is_for_all);
void lines_reached(struct lines *lines);
/* The hub is judged by other roots: lines to one that they don't have are made again, the others go on. */
void lines_trust(struct lines *lines);
/* Those who lost the hub together come back over this time. */
int64_t lines_spread_ms(const struct lines *lines);
