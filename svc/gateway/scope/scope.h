/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The hub's records of those below this gateway (gateway 3), each with the time at which the hub confirmed it: in memory for every decision, on disk
 * (scope_file.h) so that devices known before get in while the hub is away.  A failed question removes nothing. */

#include "auth/authority.h"
#include "auth/identity.h"
#include "gateway/scope/confirmation.h"
#include "gateway/scope/scope_api.h"
#include "gateway/scope/scope_list.h"

struct scope_record {
	struct identity *identity;
	struct confirmation at;	       /* by an answer that had it; its list may have been confirmed later */
	const struct scope_list *list; /* in which it stands; NULL: it was looked up, or the hub had no such list */
};
struct confirmation scope_record_confirmation(const struct scope_record *record);
void scope_record_free(struct scope_record *record);

struct scope;
struct freshness;
/* Loads what was kept; something kept that can't be read is set aside, said so in the log, and not used.  Fails when it can't be asked for now. */
struct scope *scope_open(struct upstream *upstream, struct freshness *freshness, const char *state_dir, struct err *err);

void scope_close(struct scope *scope);

/* `changed` is called for each record that was replaced (after: the new one) or has gone (after: NULL), on the thread that found it out, when it is on the disk (or could
 * not be brought there); the record itself changes before.  One watcher. */
void scope_watch(
	struct scope *scope, void (*changed)(void *arg, const struct identity *before, const struct identity *after), void *arg);
/* Called when other CAs than before may speak for devices, on the thread that found it out. */
void scope_watch_cas(struct scope *scope, void (*changed)(void *arg));

/* Any thread, never blocks.  The record as it is judged (a module of a disabled device is disabled), or NULL; the caller owns a reference. */
struct identity *scope_find(struct scope *scope, const char *device_id, const char *module_id, int64_t *confirmed);
/* The same with its age: a module's is that of its device where that is older.  Left alone when there is none. */
struct identity *scope_find_aged(
	struct scope *scope, const char *device_id, const char *module_id, struct confirmation *confirmation);
/* All of them with when each was confirmed, under the scope's lock. */
void scope_each_aged(struct scope *scope,
	void (*each)(void *arg, const struct identity *identity, const struct confirmation *confirmation), void *arg);
/* Did those above say in their last answer that they know messages again by their marks (wire/message_mark.h)?  Any thread. */
bool scope_takes_marks(const struct scope *scope);
struct authorities *scope_cas(struct scope *scope); /* the hub's CAs; NULL: it never told any; the caller owns a reference */
void scope_each(struct scope *scope, void (*each)(void *arg, const struct identity *identity), void *arg);
/* May this gateway speak for it at the hub?  For the devices below it (lineage.h) and their modules, right below or through other gateways that are enabled, and for the modules of the device that
 * it is itself. */
bool scope_is_ours(struct scope *scope, const struct identity *identity);
/* Is it that gateway, which is below us, or a device below that one? */
bool scope_is_below(struct scope *scope, const char *device_id, const char *gateway_id);
bool scope_is_reached(struct scope *scope, const char *device_id, const char *gateway_id); /* and through enabled ones alone */
bool scope_is_gateway_below(struct scope *scope, const char *device_id);		   /* and may it speak for others? */
/* Those below that gateway, and those who are below nobody any more: to be looked at when it has changed. */
void scope_each_behind(
	struct scope *scope, const char *gateway_id, void (*each)(void *arg, const struct identity *identity), void *arg);
/* "target;...;this gateway", for whom we ask above (gateway 3.7); NULL: it is not below us, as far as is known. */
char *scope_chain(struct scope *scope, const char *device_id, const char *module_id);
void scope_each_module(
	struct scope *scope, const char *device_id, void (*module)(void *arg, const struct identity *module), void *arg);
void scope_touch(struct scope *scope);		 /* something else that sessions stand on has changed */
uint64_t scope_run(const struct scope *scope);	 /* another number in each process: epochs begin anew */
uint64_t scope_epoch(const struct scope *scope); /* another number after each change */
size_t scope_count(struct scope *scope);
void scope_note_answer(struct scope *scope);	   /* those above have answered something else: they are not away */
bool scope_is_hub_away(const struct scope *scope); /* a question failed a moment ago: asking again would only make a device wait */

/* Many changes at once are not each saved: what is left over is saved by scope_save, on a worker, and by scope_close. */
bool scope_is_unsaved(const struct scope *scope);
void scope_save(struct scope *scope);
void scope_note_ages(struct scope *scope); /* they go on while nothing else changes, and are to be saved now and then: any thread */

/* Ask the hub, on a worker: these block, one at a time. */
int scope_refresh(
	struct scope *scope, struct err *err); /* for all of it, or for what has changed in it, where the hub knows that */
/* It is said that these names (identity_name) have changed; n 0: something has. */
void scope_refresh_named(struct scope *scope, const char *const *names, size_t n);
/* Did its list come as a whole, to a question that was asked after that (boot clock; 0: whenever)? */
bool scope_is_listed(struct scope *scope, const char *gateway_id, int64_t since_ms);
bool scope_is_by_difference(const struct scope *scope); /* the hub knows what has changed, so that asking it costs little */
/* For one, unless the hub has confirmed it to a question that was asked after since_ms (boot clock); after SCOPE_NO_ANSWER the record is as old as before.  While the hub is
 * away it is not asked. */
enum scope_answer scope_look_up(
	struct scope *scope, const char *device_id, const char *module_id, int64_t since_ms, struct err *err);
