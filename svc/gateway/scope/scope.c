/* SPDX-License-Identifier: Apache-2.0 */
/* One map behind a lock that is held for a look-up only; questions to the hub have a lock of their own, so that an older answer never replaces a newer one. */
#include "gateway/scope/scope.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "gateway/scope/lineage.h"
#include "gateway/scope/scope_file.h"

#define AWAY_MS 5000
#define NAMES_SINGLY_MAX 50	    /* more that have changed are not looked up one by one */
#define AGES_EVERY_MS (3600 * 1000) /* so often ages are saved where nothing else changes */
#define SAVE_EVERY_MS 1000	    /* at most: a whole scope is encrypted each time */

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
	pthread_mutex_t asking;	    /* one question at a time */
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

void
scope_record_free(struct scope_record *r)
{
	if (!r)
		return;
	identity_free(r->identity);
	mem_free(r);
}

static void
free_records(struct map *records)
{
	size_t at = 0;
	void *record;

	while (map_next(records, &at, NULL, NULL, &record))
		scope_record_free(record);
	map_free(records);
}

struct confirmation
scope_record_confirmation(const struct scope_record *r)
{
	return r->list && r->list->at.wall != 0 && confirmation_is_later(&r->list->at, &r->at) ? r->list->at : r->at;
}

static void
free_identities(struct map *identities)
{
	size_t at = 0;
	void *identity;

	while (map_next(identities, &at, NULL, NULL, &identity))
		identity_free(identity);
	map_free(identities);
}

/* -- Looking --------------------------------------------------------------------------------------------------------------------------- */

static struct identity *
find_locked(struct scope *s, const char *device_id, const char *module_id, struct confirmation *confirmed)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	const struct scope_record *r = map_find_text(s->records, name);

	if (!r)
		return NULL;
	*confirmed = scope_record_confirmation(r);
	return identity_ref(r->identity);
}

struct identity *
scope_find_aged(struct scope *s, const char *device_id, const char *module_id, struct confirmation *confirmation)
{
	OWN(identity) device = NULL;
	struct confirmation of_device = { 0 };
	struct identity *found;

	pthread_mutex_lock(&s->lock);
	found = find_locked(s, device_id, module_id, confirmation);
	if (module_id)
		device = find_locked(s, device_id, NULL, &of_device);
	pthread_mutex_unlock(&s->lock);
	if (found && device && confirmation_is_later(confirmation, &of_device))
		*confirmation = of_device;
	return identity_under(found, device);
}

struct identity *
scope_find(struct scope *s, const char *device_id, const char *module_id, int64_t *confirmed)
{
	struct confirmation confirmation = { 0 };
	struct identity *found = scope_find_aged(s, device_id, module_id, &confirmation);

	if (found)
		*confirmed = confirmation.wall;
	return found;
}

struct authorities *
scope_cas(struct scope *s)
{
	struct authorities *cas;

	pthread_mutex_lock(&s->lock);
	cas = authorities_ref(s->cas);
	pthread_mutex_unlock(&s->lock);
	return cas;
}

/* -- Who is above whom; with the lock ------------------------------------------------------------------------------------------------------ */

static const struct identity *
find_device(const void *arg, const char *device_id)
{
	const struct scope *s = arg;
	const struct scope_record *r = map_find_text(s->records, device_id);

	return r ? r->identity : NULL;
}

static bool
trace(const struct scope *s, const char *device_id, struct lineage *out)
{
	struct lineage_records records = { .find = find_device, .arg = s, .edge_id = upstream_config(s->upstream)->edge_id };
	const struct identity *device = find_device(s, device_id);

	*out = (struct lineage){ 0 };
	return text_is(device_id, records.edge_id) || (device && lineage_trace(out, &records, device));
}

/* Also when it has led through that gateway up to now, and leads nowhere since. */
static bool
may_pass(const struct scope *s, const char *device_id, const char *gateway_id)
{
	struct lineage lineage;

	return !trace(s, device_id, &lineage) || lineage_passes(&lineage, gateway_id);
}

/* -- The same for everybody ---------------------------------------------------------------------------------------------------------------- */

bool
scope_is_ours(struct scope *s, const struct identity *identity)
{
	struct lineage lineage;
	bool ours;

	if (text_is(identity->device_id, upstream_config(s->upstream)->edge_id))
		return identity->module_id != NULL;
	pthread_mutex_lock(&s->lock);
	ours = trace(s, identity->device_id, &lineage) && lineage_is_open(&lineage);
	pthread_mutex_unlock(&s->lock);
	return ours;
}

static bool
is_below(struct scope *s, const char *device_id, const char *gateway_id, bool enabled)
{
	struct lineage lineage;
	bool below;

	pthread_mutex_lock(&s->lock);
	below = trace(s, device_id, &lineage) && (!enabled || lineage_is_open(&lineage)) && lineage_passes(&lineage, gateway_id);
	pthread_mutex_unlock(&s->lock);
	return below;
}

bool
scope_is_below(struct scope *s, const char *device_id, const char *gateway_id)
{
	return is_below(s, device_id, gateway_id, false);
}

bool
scope_is_reached(struct scope *s, const char *device_id, const char *gateway_id)
{
	return is_below(s, device_id, gateway_id, true);
}

bool
scope_is_gateway_below(struct scope *s, const char *device_id)
{
	struct lineage lineage;
	bool below;

	pthread_mutex_lock(&s->lock);
	below = trace(s, device_id, &lineage) && lineage.n > 0 && lineage.at[0]->is_edge && lineage.at[0]->enabled &&
		lineage_is_open(&lineage);
	pthread_mutex_unlock(&s->lock);
	return below;
}

char *
scope_chain(struct scope *s, const char *device_id, const char *module_id)
{
	struct lineage lineage;
	char *chain = NULL;

	pthread_mutex_lock(&s->lock);
	if (trace(s, device_id, &lineage))
		chain = lineage_chain(&lineage, module_id, upstream_config(s->upstream)->edge_id);
	pthread_mutex_unlock(&s->lock);
	return chain;
}

void
scope_each_behind(struct scope *s, const char *gateway_id, void (*each)(void *arg, const struct identity *identity), void *arg)
{
	size_t at = 0;
	void *value;

	pthread_mutex_lock(&s->lock);
	while (map_next(s->records, &at, NULL, NULL, &value)) {
		const struct identity *identity = ((const struct scope_record *)value)->identity;

		if (!text_is(identity->device_id, gateway_id) && may_pass(s, identity->device_id, gateway_id))
			each(arg, identity);
	}
	pthread_mutex_unlock(&s->lock);
}

void
scope_each_module(struct scope *s, const char *device_id, void (*module)(void *arg, const struct identity *module), void *arg)
{
	size_t at = 0;
	void *value;

	pthread_mutex_lock(&s->lock);
	while (map_next(s->records, &at, NULL, NULL, &value)) {
		const struct scope_record *r = value;

		if (r->identity->module_id && text_is(r->identity->device_id, device_id))
			module(arg, r->identity);
	}
	pthread_mutex_unlock(&s->lock);
}

void
scope_each(struct scope *s, void (*each)(void *arg, const struct identity *identity), void *arg)
{
	size_t at = 0;
	void *value;

	pthread_mutex_lock(&s->lock);
	while (map_next(s->records, &at, NULL, NULL, &value))
		each(arg, ((const struct scope_record *)value)->identity);
	pthread_mutex_unlock(&s->lock);
}

void
scope_each_aged(struct scope *s, void (*each)(void *arg, const struct identity *identity, const struct confirmation *confirmation),
	void *arg)
{
	size_t at = 0;
	void *value;

	pthread_mutex_lock(&s->lock);
	while (map_next(s->records, &at, NULL, NULL, &value)) {
		const struct scope_record *r = value;
		struct confirmation confirmation = scope_record_confirmation(r);

		each(arg, r->identity, &confirmation);
	}
	pthread_mutex_unlock(&s->lock);
}

void
scope_touch(struct scope *s)
{
	atomic_fetch_add_explicit(&s->epoch, 1, memory_order_release);
}

uint64_t
scope_run(const struct scope *s)
{
	return s->run;
}

uint64_t
scope_epoch(const struct scope *s)
{
	return atomic_load_explicit(&s->epoch, memory_order_acquire);
}

size_t
scope_count(struct scope *s)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = map_count(s->records);
	pthread_mutex_unlock(&s->lock);
	return n;
}

bool
scope_is_hub_away(const struct scope *s)
{
	int64_t failed = atomic_load(&s->failed_ms);

	return failed != 0 && clock_boot_ms() - failed < AWAY_MS;
}

/* -- What the hub said --------------------------------------------------------------------------------------------------------------------- */

static struct confirmation
asked_now(void)
{
	return (struct confirmation){ .wall = clock_wall(), .boot_ms = clock_boot_ms() };
}

/* What was answered from memory is as old as a question that was asked then. */
static void
make_older(struct confirmation *at, int64_t age_s)
{
	at->wall -= age_s;
	at->boot_ms -= age_s * 1000;
}

/* What was there before, which is the caller's.  list NULL: it stays in that where it stands. */
static struct scope_record *
put(struct scope *s, const char *name, const struct identity *identity, const struct scope_list *list,
	const struct confirmation *at)
{
	struct scope_record *r = NULL, *before;

	if (identity) {
		r = NEW(scope_record);
		*r = (struct scope_record){ .identity = identity_ref(identity), .at = *at, .list = list };
	}
	pthread_mutex_lock(&s->lock);
	before = r ? map_put_text(s->records, name, r) : map_remove_text(s->records, name);
	if (r && before && !list)
		r->list = before->list;
	pthread_mutex_unlock(&s->lock);
	return before;
}

/* The change is in force for whoever asks from now on.  The watcher hears of it when it is kept, because what he does is seen outside: a device whose
 * session was closed must not be let in by a gateway that crashes and starts again. */
static void
note_change(struct scope *s, const struct identity *before, const struct identity *after)
{
	if (s->n_changes == s->cap_changes) {
		s->cap_changes = s->cap_changes ? s->cap_changes * 2 : 8;
		s->changes = mem_resize(s->changes, s->cap_changes * sizeof(*s->changes));
	}
	s->changes[s->n_changes++] = (struct change){ .before = identity_ref(before), .after = identity_ref(after) };
}

static void
tell_change(struct scope *s, const struct change *change)
{
	if (s->changed)
		s->changed(s->arg, change->before, change->after);
	identity_free(change->before);
	identity_free(change->after);
}

static void
tell(struct scope *s)
{
	for (size_t i = 0; i < s->n_changes; i++)
		tell_change(s, &s->changes[i]);
	mem_free(s->changes);
	s->changes = NULL;
	s->n_changes = s->cap_changes = 0;
	if (s->cas_are_others && s->cas_changed)
		s->cas_changed(s->arg);
	s->cas_are_others = false;
}

enum news { NO_NEWS, NEWCOMER, CHANGED };

/* The hub's word on one name: its record, or that there is none. */
static enum news
take(struct scope *s, const char *name, const struct identity *after, const struct scope_list *list, const struct confirmation *at)
{
	struct scope_record *before = put(s, name, after, list, at);
	enum news news = before	 ? !after || !identity_same_trust(before->identity, after) ? CHANGED : NO_NEWS
			 : after ? NEWCOMER
				 : NO_NEWS;

	if (news != NO_NEWS)
		atomic_fetch_add_explicit(&s->epoch, 1, memory_order_release);
	if (news == CHANGED)
		note_change(s, before->identity, after);
	scope_record_free(before);
	return news;
}

/* The hub's word on who may speak for devices; NULL: it said none.  Takes the set. */
static enum news
take_cas(struct scope *s, struct authorities *cas_take)
{
	struct authorities *before;

	if (!cas_take || authorities_equal(s->cas, cas_take)) {
		authorities_free(cas_take); /* what is remembered of chains stays with the set that is there */
		return NO_NEWS;
	}
	pthread_mutex_lock(&s->lock);
	before = s->cas;
	s->cas = cas_take;
	pthread_mutex_unlock(&s->lock);
	authorities_free(before);
	atomic_fetch_add_explicit(&s->epoch, 1, memory_order_release);
	s->cas_are_others = true;
	return CHANGED;
}

/* -- Of whole lists ------------------------------------------------------------------------------------------------------------------------ */

/* Which records an answer takes away. */
struct leaving {
	const struct scope_list *list;	  /* those that stand in it */
	const struct map *stay;		  /* but not those of these names; NULL: there are none */
	const char *under;		  /* those of this device's modules; NULL: all */
	const struct confirmation *since; /* those that were asked for before it; NULL: all */
};

static bool
is_leaving(const struct leaving *l, const struct scope_record *r, const void *name, size_t len)
{
	if (r->list != l->list || (l->stay && map_find(l->stay, name, len)))
		return false;
	if (l->under && (!r->identity->module_id || !text_is(r->identity->device_id, l->under)))
		return false;
	return !l->since || r->at.is_kept || r->at.boot_ms < l->since->boot_ms;
}

static void
remove_all(struct scope *s, const struct leaving *leaving, const struct confirmation *at)
{
	size_t next = 0, n = 0, len;
	const void *key;
	void *value;
	char **names;

	pthread_mutex_lock(&s->lock);
	names = mem_array(map_count(s->records) + 1, sizeof(*names));
	while (map_next(s->records, &next, &key, &len, &value))
		if (is_leaving(leaving, value, key, len))
			names[n++] = slice_text((struct slice){ .text = key, .len = len });
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		take(s, names[i], NULL, NULL, at);
		mem_free(names[i]);
	}
	mem_free(names);
}

/* A gateway stands in its own list too, but belongs to that of the one above it. */
static void
take_records(struct scope *s, const struct map *identities, const struct scope_list *list, const struct confirmation *at)
{
	size_t next = 0;
	void *value;

	while (map_next(identities, &next, NULL, NULL, &value)) {
		const struct identity *identity = value;
		OWN_TEXT name = identity_name(identity->device_id, identity->module_id);
		const struct scope_record *r = map_find_text(s->records, name);
		bool is_above = r && r->list && text_is(identity->device_id, list->gateway_id);

		take(s, name, identity, is_above ? NULL : list, at);
	}
}

/* A name that stands in another list by now has only moved. */
static void
take_removed(struct scope *s, const struct map *removed, const struct scope_list *list, const struct confirmation *at)
{
	size_t next = 0, len;
	const void *key;

	while (map_next(removed, &next, &key, &len, NULL)) {
		OWN_TEXT name = slice_text((struct slice){ .text = key, .len = len });
		const struct scope_record *r = map_find_text(s->records, name);

		if (r && (r->list == list || !r->list))
			take(s, name, NULL, NULL, at);
		if (!strchr(name, '/'))
			remove_all(s, &(struct leaving){ .list = list, .under = name }, at);
	}
}

/* Said once, until it is another one or all can be read. */
static void
tell_broken(struct scope *s, const struct scope_listed *listed)
{
	if (listed->n_broken > 0 && !text_is(s->broken_text, listed->broken.text))
		log_warn("the hub sent %zu records that can't be read, of which what was known before stays: %s", listed->n_broken,
			listed->broken.text);
	mem_free(s->broken_text);
	s->broken_text = listed->n_broken > 0 ? mem_text(listed->broken.text) : NULL;
}

static void
confirm_list(struct scope *s, struct scope_list *list, const char *etag, const struct confirmation *at)
{
	pthread_mutex_lock(&s->lock);
	list->at = *at;
	pthread_mutex_unlock(&s->lock);
	if (etag)
		scope_list_set_etag(list, etag);
}

/* Where a record can't be read, nothing that isn't there is taken away, and the same is asked for again. */
static void
take_listed(struct scope *s, struct scope_list *list, struct scope_listed *listed, const struct confirmation *at)
{
	tell_broken(s, listed);
	take_cas(s, GIVE(listed->cas));
	if (listed->what == SCOPE_SAME) {
		confirm_list(s, list, NULL, at);
		return;
	}
	take_records(s, listed->records, list, at);
	take_removed(s, listed->removed, list, at);
	if (listed->n_broken > 0)
		return;
	if (listed->what == SCOPE_ALL) {
		remove_all(s, &(struct leaving){ .list = list, .stay = listed->records }, at);
		scope_list_set_etag(list, NULL);
	}
	confirm_list(s, list, listed->etag, at);
}

/* Only questions change the records, and there is one at a time: so they may be read here without the lock.  What could not be kept is tried again. */
static void
save(struct scope *s)
{
	struct scope_kept kept = { .records = s->records, .lists = s->lists, .cas = s->cas, .takes_marks = s->takes_marks };
	struct err err = ERR_INIT;

	s->saved_ms = clock_boot_ms();
	atomic_store(&s->unsaved, false);
	if (scope_file_save(&(struct scope_file){ s->path, &upstream_config(s->upstream)->workload, s->freshness }, &kept, &err) ==
		0) {
		s->is_failing = false;
		return;
	}
	if (!s->is_failing)
		log_error("the devices can't be kept for the time when the hub is away: %s", err.text);
	s->is_failing = true;
	atomic_store(&s->unsaved, true);
}

/* A crowd of newcomers is saved together.  Trust that was withdrawn must not come back by a crash. */
static void
keep(struct scope *s, enum news news)
{
	if (news == NO_NEWS)
		return;
	if (news == CHANGED || s->saved_ms == 0 || clock_boot_ms() - s->saved_ms >= SAVE_EVERY_MS)
		save(s);
	else
		atomic_store(&s->unsaved, true);
}

bool
scope_is_unsaved(const struct scope *s)
{
	return atomic_load(&s->unsaved);
}

void
scope_note_ages(struct scope *s)
{
	if (clock_boot_ms() - s->saved_ms >= AGES_EVERY_MS)
		atomic_store(&s->unsaved, true);
}

void
scope_save(struct scope *s)
{
	pthread_mutex_lock(&s->asking);
	if (atomic_load(&s->unsaved))
		save(s);
	pthread_mutex_unlock(&s->asking);
}

static void
note_answer(struct scope *s, bool answered)
{
	atomic_store(&s->failed_ms, answered ? 0 : clock_boot_ms());
}

static void
note_marks(struct scope *s, bool takes_marks)
{
	if (atomic_exchange(&s->takes_marks, takes_marks) != takes_marks)
		atomic_store(&s->unsaved, true);
}

bool
scope_takes_marks(const struct scope *s)
{
	return atomic_load_explicit(&s->takes_marks, memory_order_relaxed);
}

/* -- The walk over all lists --------------------------------------------------------------------------------------------------------------- */

struct walk {
	struct confirmation at;
	bool is_full;	  /* each list came as a whole */
	bool is_complete; /* none was refused, and none has a record that can't be read */
	bool is_news;	  /* something came that wasn't known, or may have been */
};

/* Of one gateway.  A refusal that is about that gateway alone ends with it. */
static int
walk_list(struct scope *s, struct walk *walk, struct scope_list *list, const char *chain, struct err *err)
{
	CLEAR(scope_listed) listed = { 0 };
	struct confirmation at = asked_now();
	int refusal;

	list->walk = s->walk;
	if (scope_api_list(s->upstream, chain, list->etag, &listed, &refusal, err) < 0) {
		walk->is_complete = false;
		return strchr(chain, ';') && (refusal == 403 || refusal == 404) ? 0 : -1;
	}
	walk->is_full = walk->is_full && listed.what == SCOPE_ALL;
	walk->is_complete = walk->is_complete && listed.n_broken == 0;
	walk->is_news = walk->is_news || listed.what == SCOPE_ALL || map_count(listed.records) + map_count(listed.removed) > 0;
	make_older(&at, listed.age_s);
	if (listed.what != SCOPE_SAME)
		note_marks(s, listed.takes_marks);
	take_listed(s, list, &listed, &at);
	return 0;
}

/* The gateways that stand in this list; the caller owns the names. */
static size_t
gateways_in(struct scope *s, const struct scope_list *list, char ***ids)
{
	size_t next = 0, n = 0;
	void *value;

	*ids = mem_array(map_count(s->records) + 1, sizeof(**ids));
	while (map_next(s->records, &next, NULL, NULL, &value)) {
		const struct scope_record *r = value;

		if (r->list == list && !r->identity->module_id && r->identity->is_edge &&
			!text_is(r->identity->device_id, list->gateway_id))
			(*ids)[n++] = mem_text(r->identity->device_id);
	}
	return n;
}

static int
walk_from(struct scope *s, struct walk *walk, const char *gateway_id, const char *chain, int level, struct err *err)
{
	struct scope_list *list = scope_list_need(s->lists, gateway_id);
	char **below = NULL;
	size_t n = 0;
	int status;

	if (!list || list->walk == s->walk || level > LINEAGE_GATEWAYS_MAX)
		return 0;
	status = walk_list(s, walk, list, chain, err);
	if (status == 0)
		n = gateways_in(s, list, &below);
	for (size_t i = 0; i < n; i++) {
		OWN_TEXT longer = mem_textf("%s;%s", below[i], chain);

		status = status == 0 ? walk_from(s, walk, below[i], longer, level + 1, err) : status;
		mem_free(below[i]);
	}
	mem_free(below);
	return status;
}

/* What stood in the list of a gateway that is no longer below us; and what is in no list, though all came as a whole. */
static void
remove_unlisted(struct scope *s, const struct walk *walk)
{
	size_t next = 0;
	void *value;

	if (!walk->is_complete)
		return;
	while (map_next(s->lists, &next, NULL, NULL, &value)) {
		struct scope_list *list = value;

		if (list->walk == s->walk)
			continue;
		remove_all(s, &(struct leaving){ .list = list }, &walk->at);
		scope_list_set_etag(list, NULL);
	}
	if (walk->is_full)
		remove_all(s, &(struct leaving){ .list = NULL, .since = &walk->at }, &walk->at);
}

/* A hub that knows nothing new is no reason to encrypt everything anew, but for the ages now and then. */
static bool
is_worth_saving(const struct scope *s, const struct walk *walk, bool answered)
{
	return walk->is_news || s->n_changes > 0 || s->cas_are_others ||
	       (answered && clock_boot_ms() - s->saved_ms >= AGES_EVERY_MS);
}

static int
refresh_locked(struct scope *s, struct err *err)
{
	struct walk walk = { .at = asked_now(), .is_full = true, .is_complete = true };
	const char *own = upstream_config(s->upstream)->edge_id;
	const struct scope_list *own_list;
	int status;

	s->walk++;
	status = walk_from(s, &walk, own, own, 1, err);
	note_answer(s, status == 0);
	own_list = map_find_text(s->lists, own);
	atomic_store(&s->is_by_difference, own_list && own_list->etag);
	if (status == 0)
		remove_unlisted(s, &walk);
	if (is_worth_saving(s, &walk, status == 0))
		save(s);
	tell(s);
	mem_trim();
	return status;
}

int
scope_refresh(struct scope *s, struct err *err)
{
	int status;

	pthread_mutex_lock(&s->asking);
	status = refresh_locked(s, err);
	pthread_mutex_unlock(&s->asking);
	return status;
}

bool
scope_is_listed(struct scope *s, const char *gateway_id, int64_t since_ms)
{
	const struct scope_list *list;
	bool listed;

	pthread_mutex_lock(&s->lock);
	list = map_find_text(s->lists, gateway_id);
	listed = list && list->at.wall != 0 && (since_ms == 0 || (!list->at.is_kept && list->at.boot_ms > since_ms));
	pthread_mutex_unlock(&s->lock);
	return listed;
}

bool
scope_is_by_difference(const struct scope *s)
{
	return atomic_load(&s->is_by_difference);
}

/* -- Single questions ---------------------------------------------------------------------------------------------------------------------- */

static bool
is_newer_than(const struct scope_record *r, int64_t since_ms)
{
	struct confirmation at = scope_record_confirmation(r);

	return !at.is_kept && at.boot_ms > since_ms;
}

static bool
is_newer(struct scope *s, const char *device_id, const char *module_id, int64_t since_ms)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	const struct scope_record *r, *device;
	bool newer;

	pthread_mutex_lock(&s->lock);
	r = map_find_text(s->records, name);
	device = map_find_text(s->records, device_id);
	newer = r && device && is_newer_than(r, since_ms) && is_newer_than(device, since_ms);
	pthread_mutex_unlock(&s->lock);
	return newer;
}

static enum scope_answer
look_up_locked(struct scope *s, const char *device_id, const char *module_id, struct err *err)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	struct map *identities = map_new();
	struct authorities *cas = NULL;
	struct confirmation at = asked_now();
	int64_t age_s = 0;
	bool takes_marks = scope_takes_marks(s);
	enum scope_answer answer = scope_api_get(s->upstream, device_id, module_id, identities, &cas, &age_s, &takes_marks, err);
	enum news of_cas = take_cas(s, cas), of_device = NO_NEWS, of_name = NO_NEWS;

	make_older(&at, age_s);
	note_answer(s, answer != SCOPE_NO_ANSWER);
	note_marks(s, takes_marks);
	if (answer == SCOPE_FOUND && module_id && map_find_text(identities, device_id))
		of_device = take(s, device_id, map_find_text(identities, device_id), NULL, &at);
	if (answer != SCOPE_NO_ANSWER)
		of_name = take(s, name, answer == SCOPE_FOUND ? map_find_text(identities, name) : NULL, NULL, &at);
	keep(s, of_cas == CHANGED ? CHANGED : of_name > of_device ? of_name : of_device);
	tell(s);
	free_identities(identities);
	return answer;
}

static enum scope_answer
look_up_if_older(struct scope *s, const char *device_id, const char *module_id, int64_t since_ms, struct err *err)
{
	if (is_newer(s, device_id, module_id, since_ms))
		return SCOPE_FOUND;
	if (!scope_is_hub_away(s))
		return look_up_locked(s, device_id, module_id, err);
	err_set(err, ERR_UNAVAILABLE, "it gave none to another question a moment ago");
	return SCOPE_NO_ANSWER;
}

/* The gateways between, for it is through them that the device is ours; to be freed. */
static size_t
list_between(struct scope *s, const char *device_id, char *ids[static LINEAGE_MAX])
{
	struct lineage lineage;
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	if (trace(s, device_id, &lineage))
		for (size_t i = 1; i < lineage.n; i++)
			ids[n++] = mem_text(lineage.at[i]->device_id);
	pthread_mutex_unlock(&s->lock);
	return n;
}

static void
look_up_between(struct scope *s, const char *device_id, int64_t since_ms)
{
	char *ids[LINEAGE_MAX];
	size_t n = list_between(s, device_id, ids);

	for (size_t i = 0; i < n; i++) {
		struct err ignored = ERR_INIT;

		look_up_if_older(s, ids[i], NULL, since_ms, &ignored);
		mem_free(ids[i]);
	}
}

/* Whoever waited here for another's question looks first what became of it: so a crowd asks once, and does not wait for a hub that is away one after the other. */
enum scope_answer
scope_look_up(struct scope *s, const char *device_id, const char *module_id, int64_t since_ms, struct err *err)
{
	enum scope_answer answer;

	pthread_mutex_lock(&s->asking);
	answer = look_up_if_older(s, device_id, module_id, since_ms, err);
	if (answer == SCOPE_FOUND)
		look_up_between(s, device_id, since_ms);
	pthread_mutex_unlock(&s->asking);
	return answer;
}

void
scope_note_answer(struct scope *s)
{
	note_answer(s, true);
}

/* Where the hub knows differences one question tells of all names. */
void
scope_refresh_named(struct scope *s, const char *const *names, size_t n)
{
	struct err ignored = ERR_INIT;

	if (n == 0 || n > NAMES_SINGLY_MAX || scope_is_by_difference(s)) {
		scope_refresh(s, &ignored);
		return;
	}
	for (size_t i = 0; i < n && !scope_is_hub_away(s); i++) {
		const char *slash = strchr(names[i], '/');
		OWN_TEXT device_id = slash ? mem_textn(names[i], (size_t)(slash - names[i])) : mem_text(names[i]);

		if (identity_id_is_valid(device_id) && (!slash || identity_id_is_valid(slash + 1)))
			scope_look_up(s, device_id, slash ? slash + 1 : NULL, clock_boot_ms(), &ignored);
	}
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------ */

/* Another identity's, or a damaged one: kept for whoever wants to look. */
static void
set_aside(struct scope *s, const struct err *why)
{
	bool is_older = why->kind == ERR_CONFLICT;
	OWN_TEXT aside = mem_textf("%s.%s", s->path, is_older ? "rolled-back" : "unreadable");

	if (is_older)
		log_error("STATE_ROLLED_BACK: the devices kept for the time when the hub is away are set aside as %s, and nobody "
			  "is let in "
			  "until the hub has told of him anew: %s",
			aside, why->text);
	else
		log_warn("the devices kept for the time when the hub is away can't be read, and are set aside as %s: %s", aside,
			why->text);
	if (rename(s->path, aside) < 0)
		log_error("%s: %s", s->path, strerror(errno));
	free_records(s->records);
	s->records = map_new();
	scope_lists_free(s->lists);
	s->lists = map_new();
	authorities_free(s->cas);
	s->cas = NULL;
}

/* What could not be asked right now says nothing about the file. */
static bool
is_unreadable(const struct err *err)
{
	return err->kind == ERR_INVALID || err->kind == ERR_BROKEN || err->kind == ERR_LIMIT || err->kind == ERR_CONFLICT;
}

static int
load(struct scope *s, struct err *err)
{
	struct scope_kept kept = { .records = s->records, .lists = s->lists };
	struct scope_file file = { s->path, &upstream_config(s->upstream)->workload, s->freshness };
	int status = scope_file_load(&file, &kept, err);

	s->cas = kept.cas;
	s->takes_marks = kept.takes_marks;
	return status;
}

struct scope *
scope_open(struct upstream *upstream, struct freshness *freshness, const char *state_dir, struct err *err)
{
	struct scope *s = NEW(scope);
	struct err why = ERR_INIT;

	s->upstream = upstream;
	s->freshness = freshness;
	s->path = file_join(state_dir, "scope");
	s->run = random_u64();
	s->records = map_new();
	s->lists = map_new();
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->asking, NULL);
	if (load(s, &why) == 0 || why.kind == ERR_MISSING)
		return s;
	if (is_unreadable(&why)) {
		set_aside(s, &why);
		return s;
	}
	*err = why;
	scope_close(s);
	return NULL;
}

void
scope_watch(struct scope *s, void (*changed)(void *arg, const struct identity *before, const struct identity *after), void *arg)
{
	s->changed = changed;
	s->arg = arg;
}

void
scope_watch_cas(struct scope *s, void (*changed)(void *arg))
{
	s->cas_changed = changed;
}

void
scope_close(struct scope *s)
{
	if (!s)
		return;
	if (atomic_load(&s->unsaved))
		save(s);
	free_records(s->records);
	scope_lists_free(s->lists);
	mem_free(s->broken_text);
	authorities_free(s->cas);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->asking);
	mem_free(s->path);
	mem_free(s);
}
