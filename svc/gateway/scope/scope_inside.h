/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The scope's own files among themselves: scope.c has its life and what is kept, scope_find.c who asks it, scope_ask.c the questions to the hub, scope_take.c what the answers change. */

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "gateway/scope/lineage.h"
#include "gateway/scope/scope.h"
#include "gateway/scope/turn.h"

/* A record that was replaced, or has gone (after NULL). */
struct change {
	struct identity *before, *after;
};

struct scope {
	struct upstream *upstream;
	struct freshness *freshness; /* borrowed */
	char *path;
	uint64_t run;
	struct map *records;	    /* name to struct scope_record */
	struct map *lists;	    /* gateway to struct scope_list; changed by whoever asks, under both locks */
	struct authorities *cas;    /* NULL: the hub never told any */
	pthread_mutex_t lock;	    /* of records and cas */
	struct turn asking;	    /* one question at a time */
	atomic_uint_fast64_t epoch; /* changes */
	atomic_bool unsaved, is_by_difference, takes_marks;
	atomic_int_fast64_t saved_ms;  /* boot clock */
	atomic_int_fast64_t failed_ms; /* boot clock of the last question without an answer; 0: the last one had one */
	struct change *changes;	       /* not yet told; of whoever asks */
	size_t n_changes, cap_changes;
	bool cas_are_others;
	uint64_t walk;	   /* the last one; of whoever asks */
	char *broken_text; /* what was said of a record that can't be read; of whoever asks */
	bool is_failing;   /* to save; of whoever asks */
	void (*changed)(void *arg, const struct identity *before, const struct identity *after);
	void (*cas_changed)(void *arg);
	void *arg;
};

/* With the lock: the gateways between a device and this one; false: it is not below us. */
bool scope_trace(const struct scope *scope, const char *device_id, struct lineage *out);

/* -- Of whoever asks, with `asking` -------------------------------------------------------------------------------------------------------- */

#define SCOPE_AGES_EVERY_MS (3600 * 1000) /* so often ages are saved where nothing else changes */

enum news { NO_NEWS, NEWCOMER, CHANGED };
/* The hub's word on one name: its record, or that there is none.  list NULL: it stays in that where it stands. */
enum news scope_take(struct scope *scope, const char *name, const struct identity *after, const struct scope_list *list,
	const struct confirmation *at);
/* After a word on one device: where the hub says that it is below another gateway than the one in whose list it stands, it stands in that one's from now on, with its modules.  Else it would be
 * gone from when the one list is told without it until the other is told with it: for as long as the hub is away, when that is lost in between. */
void scope_move(struct scope *scope, const char *device_id);
/* The hub's word on who may speak for devices; NULL: it said none.  Takes the set. */
enum news scope_take_cas(struct scope *scope, struct authorities *cas_take);
/* Where a record can't be read, nothing that isn't there is taken away, and the same is asked for again. */
void scope_take_list(struct scope *scope, struct scope_list *list, struct scope_listed *listed, const struct confirmation *at);
/* Which records an answer takes away. */
struct leaving {
	const struct scope_list *list;	  /* those that stand in it */
	const struct map *stay;		  /* but not those of these names; NULL: there are none */
	const char *under;		  /* those of this device's modules; NULL: all */
	const struct confirmation *since; /* those that were asked for before it; NULL: all */
};
void scope_remove(struct scope *scope, const struct leaving *leaving, const struct confirmation *at);
void scope_tell(struct scope *scope); /* the watchers, of all that has changed since the last time */

void scope_save_now(struct scope *scope);
/* A crowd of newcomers is saved together.  Trust that was withdrawn must not come back by a crash. */
void scope_keep(struct scope *scope, enum news news);
void scope_note_question(struct scope *scope, bool answered);
void scope_note_marks(struct scope *scope, bool takes_marks);
