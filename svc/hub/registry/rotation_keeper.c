/* SPDX-License-Identifier: Apache-2.0 */
/* Rotations under way (rotation_keeper.h).  The map is changed by the registry's worker alone; connections look into it under its lock, and only while there is any. */
#include "hub/registry/rotation_keeper.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "diag/reason.h"
#include "wire/json.h"

#define TICK_MS 5000 /* the wall clock may jump: it is looked at, not waited for */

struct rotation_keeper {
	struct registry *registry;
	struct loop *loop;
	int64_t grace_s;
	pthread_mutex_t lock;
	struct map *map; /* by name, owned */
	atomic_size_t n;
	struct timer timer;
	struct job retire;
	atomic_bool is_retiring;
};

/* -- Storage ----------------------------------------------------------------------------------------------------------------------------- */

static struct db *
db_of(struct rotation_keeper *keeper)
{
	return registry_store_db(registry_store_of(keeper->registry));
}

static int
save_row(struct rotation_keeper *keeper, const struct rotation *r, struct err *err)
{
	return db_run(db_of(keeper), err,
		"INSERT OR REPLACE INTO thumbprint_rotation (device_id, module_id, generation_id, old, new, offered, promoted, "
		"retires)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		"tttttiii", r->device_id, r->module_id ? r->module_id : "", r->generation_id, r->old, r->new, r->offered,
		r->promoted, r->retires);
}

static int
drop_row(struct rotation_keeper *keeper, const struct rotation *r, struct err *err)
{
	return db_run(db_of(keeper), err, "DELETE FROM thumbprint_rotation WHERE device_id = ? AND module_id = ?", "tt",
		r->device_id, r->module_id ? r->module_id : "");
}

static struct rotation *
read_row(struct db_stmt *row)
{
	struct rotation *r = NEW(rotation);
	const char *module_id = db_text(row, 1);

	*r = (struct rotation){ .device_id = mem_text(db_text(row, 0)),
		.module_id = *module_id ? mem_text(module_id) : NULL,
		.generation_id = mem_text(db_text(row, 2)),
		.old = mem_text(db_text(row, 3)),
		.new = mem_text(db_text(row, 4)),
		.offered = db_int(row, 5),
		.promoted = db_int(row, 6),
		.retires = db_int(row, 7) };
	return r;
}

/* -- What is under way ------------------------------------------------------------------------------------------------------------------- */

/* NULL ends it.  Takes the rotation. */
static void
publish(struct rotation_keeper *keeper, const char *name, struct rotation *after_take)
{
	struct rotation *before;

	pthread_mutex_lock(&keeper->lock);
	before = after_take ? map_put_text(keeper->map, name, after_take) : map_remove_text(keeper->map, name);
	atomic_store(&keeper->n, map_count(keeper->map));
	pthread_mutex_unlock(&keeper->lock);
	rotation_free(before);
}

static struct rotation *
copy_of(const struct rotation *from)
{
	struct rotation *r = NEW(rotation);

	*r = *from;
	r->device_id = mem_text(from->device_id);
	r->module_id = mem_text(from->module_id);
	r->generation_id = mem_text(from->generation_id);
	r->old = mem_text(from->old);
	r->new = mem_text(from->new);
	return r;
}

static struct rotation *
find(struct rotation_keeper *keeper, const char *name)
{
	struct rotation *found;

	pthread_mutex_lock(&keeper->lock);
	found = map_find_text(keeper->map, name);
	if (found)
		found = copy_of(found);
	pthread_mutex_unlock(&keeper->lock);
	return found;
}

struct rotation *
rotation_keeper_find(struct rotation_keeper *keeper, const struct identity *identity)
{
	OWN_TEXT name = identity_name(identity->device_id, identity->module_id);
	OWN(rotation) found = find(keeper, name);

	return found && rotation_holds(identity, found) ? GIVE(found) : NULL;
}

static void
audit(enum reason reason, const struct rotation *r)
{
	const struct reason_row *row = reason_row(reason);
	OWN_TEXT name = identity_name(r->device_id, r->module_id);
	OWN_LIB(json_t) json =
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "who", name, "reason", row->code, "old", r->old, "new", r->new,
			"offered", (json_int_t)r->offered, "promoted", (json_int_t)r->promoted, "retires", (json_int_t)r->retires);
	OWN_TEXT text = json_line(json);
	OWN_TEXT sentence = mem_textf("%s: %s %s", name, row->code, row->sentence);

	log_event(LOG_INFO, "rotation", text, sentence);
}

/* -- Steps, on the worker ---------------------------------------------------------------------------------------------------------------- */

static int
put_slots(struct rotation_keeper *keeper, const struct identity *record, const char *const slots[2], struct err *err)
{
	struct registry_call call = { .op = REGISTRY_PUT,
		.device_id = mem_text(record->device_id),
		.module_id = mem_text(record->module_id),
		.if_match = mem_text(record->etag),
		.wanted = identity_copy(record) };
	int done;

	for (int i = 0; i < 2; i++) {
		mem_free(call.wanted->thumbprints[i]);
		call.wanted->thumbprints[i] = mem_text(slots[i]);
	}
	call.wanted->auth = IDENTITY_AUTH_THUMBPRINT;
	registry_run(keeper->registry, &call);
	done = call.answer == REGISTRY_OK ? 0 : -1;
	if (done < 0)
		*err = call.err;
	registry_call_clear(&call);
	return done;
}

static void
end(struct rotation_keeper *keeper, const char *name, const struct rotation *r, enum reason reason)
{
	struct err err = ERR_INIT;

	if (drop_row(keeper, r, &err) < 0)
		log_error("rotations: %s", err.text); /* it is looked at again at the next start */
	audit(reason, r);
	publish(keeper, name, NULL);
}

/* Nothing is in use that would have to stay: there is no rotation to be kept, and a stop before or after it is the one state or the other. */
static void
run_first(struct rotation_keeper *keeper, struct rotation_call *call, const struct identity *record)
{
	OWN_TEXT name = identity_name(call->device_id, call->module_id);

	call->answer = ROTATION_OK;
	call->failed = put_slots(keeper, record, (const char *[]){ call->thumbprint, NULL }, &call->err) < 0;
	if (!call->failed)
		log_info("%s has its first thumbprint, %s", name, call->thumbprint);
}

void
rotation_keeper_run_offer(struct rotation_keeper *keeper, struct rotation_call *call)
{
	OWN_TEXT name = identity_name(call->device_id, call->module_id);
	OWN(identity) record = registry_find(keeper->registry, call->device_id, call->module_id);
	OWN(rotation) before = find(keeper, name);
	OWN(rotation) after = NULL;
	const char *slots[2];

	call->is_unknown = record == NULL;
	if (!record)
		return;
	if (call->may_be_first && rotation_may_begin(record)) {
		run_first(keeper, call, record);
		return;
	}
	call->answer =
		(call->renews ? rotation_renew : rotation_offer)(record, before, call->thumbprint, clock_wall(), &after, slots);
	if (call->answer != ROTATION_OK)
		return;
	call->failed = save_row(keeper, after, &call->err) < 0 || put_slots(keeper, record, slots, &call->err) < 0;
	if (call->failed)
		return;
	audit(THUMBPRINT_OFFERED, after);
	publish(keeper, name, GIVE(after));
}

void
rotation_keeper_run_promotion(struct rotation_keeper *keeper, const char *device_id, const char *module_id)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	OWN(identity) record = registry_find(keeper->registry, device_id, module_id);
	OWN(rotation) r = find(keeper, name);
	const char *slots[2];
	struct err err = ERR_INIT;

	if (!r || r->promoted != 0)
		return;
	if (rotation_promote(record, r, keeper->grace_s, clock_wall(), slots) != ROTATION_OK) {
		end(keeper, name, r, THUMBPRINT_ROTATION_ENDED);
		return;
	}
	r->is_promoting = false;
	if (save_row(keeper, r, &err) < 0 || put_slots(keeper, record, slots, &err) < 0) {
		log_error("rotations: %s", err.text);
		r->promoted = r->retires = 0; /* the next connection tries again */
	} else {
		audit(THUMBPRINT_PROMOTED, r);
	}
	publish(keeper, name, GIVE(r));
}

static void
retire(struct rotation_keeper *keeper, const struct rotation *r)
{
	OWN_TEXT name = identity_name(r->device_id, r->module_id);
	OWN(identity) record = registry_find(keeper->registry, r->device_id, r->module_id);
	const char *slots[2];
	struct err err = ERR_INIT;

	if (rotation_retire(record, r, slots) != ROTATION_OK)
		end(keeper, name, r, THUMBPRINT_ROTATION_ENDED);
	else if (put_slots(keeper, record, slots, &err) < 0)
		log_error("rotations: %s", err.text); /* the next tick tries again */
	else
		end(keeper, name, r, THUMBPRINT_RETIRED);
}

/* On the worker, with the identity's row: nobody would come for it any more. */
static void
on_removed(void *arg, const struct identity *before, const struct identity *after)
{
	struct rotation_keeper *keeper = arg;
	OWN_TEXT name = identity_name(before->device_id, before->module_id);
	OWN(rotation) r = find(keeper, name);

	(void)after;
	if (!r)
		return;
	audit(THUMBPRINT_ROTATION_ENDED, r);
	publish(keeper, name, NULL);
}

/* One that is due; a copy. */
static struct rotation *
find_due(struct rotation_keeper *keeper, size_t *at, int64_t now)
{
	struct rotation *found = NULL;
	void *value;

	pthread_mutex_lock(&keeper->lock);
	while (!found && map_next(keeper->map, at, NULL, NULL, &value)) {
		struct rotation *r = value;

		if (r->promoted != 0 && r->retires <= now)
			found = copy_of(r);
	}
	pthread_mutex_unlock(&keeper->lock);
	return found;
}

void
rotation_keeper_run_retirements(struct rotation_keeper *keeper)
{
	int64_t now = clock_wall();
	struct rotation *due[64];
	size_t n = 0, at = 0;

	/* Collected first: the map changes with each. */
	while (n < COUNT(due) && (due[n] = find_due(keeper, &at, now)))
		n++;
	for (size_t i = 0; i < n; i++) {
		retire(keeper, due[i]);
		rotation_free(due[i]);
	}
}

size_t
rotation_keeper_count(const struct rotation_keeper *keeper)
{
	return atomic_load(&keeper->n);
}

/* -- Jobs ---------------------------------------------------------------------------------------------------------------------------------- */

static void
run_retire(struct job *job)
{
	rotation_keeper_run_retirements(CONTAINER_OF(job, struct rotation_keeper, retire));
}

static void
retire_done(struct job *job)
{
	struct rotation_keeper *keeper = CONTAINER_OF(job, struct rotation_keeper, retire);

	atomic_store(&keeper->is_retiring, false);
}

static void
on_tick(struct timer *timer)
{
	struct rotation_keeper *keeper = CONTAINER_OF(timer, struct rotation_keeper, timer);

	timer_arm(timer, TICK_MS);
	if (atomic_load(&keeper->n) == 0 || atomic_exchange(&keeper->is_retiring, true))
		return;
	keeper->retire = (struct job){ .run = run_retire, .done = retire_done, .owner = loop_owner(keeper->loop) };
	if (!registry_work(keeper->registry, &keeper->retire))
		atomic_store(&keeper->is_retiring, false);
}

struct promotion {
	struct job job;
	struct rotation_keeper *keeper;
	char *device_id, *module_id;
};

static void
run_promotion(struct job *job)
{
	struct promotion *p = CONTAINER_OF(job, struct promotion, job);

	rotation_keeper_run_promotion(p->keeper, p->device_id, p->module_id);
}

static void
promotion_done(struct job *job)
{
	struct promotion *p = CONTAINER_OF(job, struct promotion, job);

	mem_free(p->device_id);
	mem_free(p->module_id);
	mem_free(p);
}

/* Is it this one's first connection with its new certificate?  Then it is marked, so that no second one asks as well. */
static bool
begin_promotion(struct rotation_keeper *keeper, const char *name, const struct identity *identity, const char *thumbprint)
{
	struct rotation *r;
	bool begins;

	pthread_mutex_lock(&keeper->lock);
	r = map_find_text(keeper->map, name);
	begins = r && r->promoted == 0 && !r->is_promoting && text_is(r->new, thumbprint) &&
		 text_is(r->generation_id, identity->generation_id);
	if (begins)
		r->is_promoting = true;
	pthread_mutex_unlock(&keeper->lock);
	return begins;
}

static void
give_up_promotion(struct rotation_keeper *keeper, const char *name)
{
	struct rotation *r;

	pthread_mutex_lock(&keeper->lock);
	r = map_find_text(keeper->map, name);
	if (r)
		r->is_promoting = false;
	pthread_mutex_unlock(&keeper->lock);
}

void
rotation_keeper_connected(struct rotation_keeper *keeper, const struct identity *identity, const char *thumbprint)
{
	OWN_TEXT name = NULL;
	struct promotion *p;

	if (atomic_load(&keeper->n) == 0)
		return;
	name = identity_name(identity->device_id, identity->module_id);
	if (!begin_promotion(keeper, name, identity, thumbprint))
		return;
	p = NEW(promotion);
	p->job = (struct job){ .run = run_promotion, .done = promotion_done, .owner = loop_owner(keeper->loop) };
	p->keeper = keeper;
	p->device_id = mem_text(identity->device_id);
	p->module_id = mem_text(identity->module_id);
	if (registry_work(keeper->registry, &p->job))
		return;
	give_up_promotion(keeper, name);
	promotion_done(&p->job);
}

static void
run_offer(struct job *job)
{
	struct rotation_call *call = CONTAINER_OF(job, struct rotation_call, job);

	rotation_keeper_run_offer(call->keeper, call);
}

static void
offer_done(struct job *job)
{
	struct rotation_call *call = CONTAINER_OF(job, struct rotation_call, job);

	call->done(call);
}

bool
rotation_keeper_offer(struct rotation_keeper *keeper, struct rotation_call *call, struct owner *owner)
{
	call->keeper = keeper;
	call->job = (struct job){ .run = run_offer, .done = offer_done, .owner = owner };
	return registry_work(keeper->registry, &call->job);
}

void
rotation_call_clear(struct rotation_call *call)
{
	mem_free(call->device_id);
	mem_free(call->module_id);
	mem_free(call->thumbprint);
	*call = (struct rotation_call){ 0 };
}

/* -- Opening --------------------------------------------------------------------------------------------------------------------------------- */

static int
load(struct rotation_keeper *keeper, struct err *err)
{
	struct db_stmt *rows = db_query(db_of(keeper), err,
		"SELECT device_id, module_id, generation_id, old, new, offered, promoted, retires FROM thumbprint_rotation", "");
	int got;

	if (!rows)
		return -1;
	while ((got = db_next(rows, err)) == 1) {
		struct rotation *r = read_row(rows);
		OWN_TEXT name = identity_name(r->device_id, r->module_id);

		publish(keeper, name, r);
	}
	db_done(rows);
	return got;
}

struct rotation_keeper *
rotation_keeper_open(struct registry *registry, struct loop *loop, int64_t grace_s, struct err *err)
{
	struct rotation_keeper *keeper = NEW(rotation_keeper);

	keeper->registry = registry;
	keeper->loop = loop;
	keeper->grace_s = grace_s;
	keeper->map = map_new();
	pthread_mutex_init(&keeper->lock, NULL);
	if (load(keeper, err) < 0) {
		rotation_keeper_close(keeper);
		return NULL;
	}
	registry_watch(registry, REGISTRY_REMOVED, on_removed, keeper);
	return keeper;
}

void
rotation_keeper_start(struct rotation_keeper *keeper)
{
	timer_init(&keeper->timer, keeper->loop, on_tick);
	timer_arm(&keeper->timer, TICK_MS);
}

void
rotation_keeper_close(struct rotation_keeper *keeper)
{
	size_t at = 0;
	void *value;

	if (!keeper)
		return;
	while (map_next(keeper->map, &at, NULL, NULL, &value))
		rotation_free(value);
	map_free(keeper->map);
	pthread_mutex_destroy(&keeper->lock);
	mem_free(keeper);
}
