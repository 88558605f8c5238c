/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of one registration, and its ways to others and back (pursuit.h). */
#include "hub/provisioning/pursuit.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/custom_allocation.h"
#include "hub/provisioning/hub_choice.h"
#include "hub/provisioning/provisioned_device.h"
#include "hub/provisioning/pursuit_inside.h"
#include "hub/provisioning/reprovision.h"
#include "wire/json.h"

enum numbers {
	NO_ENROLLMENT = 404201,
	CONFLICT = 409203,
};

enum next { NEXT, AWAY, DONE, REFUSED, LATER, BROKEN };

/* One look at a registration, on the worker. */
struct walk {
	struct pursuit *u;
	struct registration *r;
	const struct enrollment *e; /* NULL: there is none any more */
	struct linked_hubs hubs;
	int number;
	struct err err;
};

static struct db *
db_of(const struct walk *w)
{
	return registry_store_db(registry_store_of(w->u->provisioning->config.registry));
}

static const char *
ours(const struct walk *w)
{
	return w->u->provisioning->config.hub;
}

static bool
is_ours(const struct walk *w, const char *host)
{
	return text_is_nocase(host, ours(w));
}

static enum next
refuse(struct walk *w, int number, const char *text)
{
	w->number = number;
	if (text)
		(void)err_set(&w->err, ERR_CONFLICT, "%s", text);
	return REFUSED;
}

/* What is under way is due, so that a kill leaves nothing that only its device could go on with. */
static enum next
persist(struct walk *w, enum next next)
{
	if (next == NEXT)
		w->r->due = clock_wall() + PURSUIT_LEASE_S;
	return registration_put(db_of(w), w->r, &w->err) < 0 ? BROKEN : next;
}

/* -- Errands -------------------------------------------------------------------------------------------------------------------------- */

static void
end_errand(struct pursuit *u)
{
	errand_clear(&u->errand);
	u->what = PURSUIT_NOTHING;
}

/* In our hub it is done when this returns NEXT. */
static enum next
send_errand(struct walk *w, struct errand errand_take, const char *host)
{
	struct pursuit *u = w->u;
	int i = hub_choice_find(&w->hubs, ours(w), host);

	errand_clear(&u->errand);
	u->errand = errand_take;
	u->errand.device_id = mem_text(w->r->device_id);
	u->what = PURSUIT_ERRAND;
	registration_set(&u->host, mem_text(host));
	if (is_ours(w, host)) {
		errand_run_here(&u->errand, u->provisioning->config.registry, u->provisioning->config.rotations);
		return NEXT;
	}
	linked_hub_free(u->hub);
	u->hub = linked_hub_copy(w->hubs.item[i]);
	return AWAY;
}

static enum next
end_badly(struct walk *w)
{
	struct pursuit *u = w->u;
	enum next next = u->errand.end == ERRAND_REFUSED ? REFUSED : is_ours(w, u->host) ? BROKEN : LATER;

	w->number = CONFLICT;
	w->err = u->errand.err;
	end_errand(u);
	return next;
}

/* -- Which hub -------------------------------------------------------------------------------------------------------------------------- */

/* What it has there, asked once: NEXT when it is known. */
static enum next
look_back(struct walk *w)
{
	struct pursuit *u = w->u;
	enum next next = NEXT;

	if (u->has_looked)
		return NEXT;
	if (u->what != PURSUIT_ERRAND)
		next = send_errand(w, (struct errand){ .kind = ERRAND_READ }, w->r->from);
	if (next != NEXT)
		return next;
	if (u->errand.end != ERRAND_DONE)
		return end_badly(w);
	u->has_looked = true;
	u->left = u->errand.found;
	u->left_twin = u->errand.found_twin;
	u->errand.found = NULL;
	u->errand.found_twin = NULL;
	end_errand(u);
	return NEXT;
}

static enum next
go_to(struct walk *w, const char *host, bool given_twin)
{
	reprovision_go(w->r, host, reprovision_policy(w->e), given_twin);
	return NEXT;
}

static enum next
pick(struct walk *w)
{
	int i = hub_choice_pick(w->e, &w->hubs, ours(w), w->r->id);

	if (i < 0)
		return refuse(w, CONFLICT, "no hub that the enrollment names is linked");
	return go_to(w, hub_choice_name(&w->hubs, (size_t)i, ours(w)), false);
}

static enum next
ask_hook(struct walk *w)
{
	struct pursuit *u = w->u;

	u->what = PURSUIT_HOOK;
	u->hook.url = mem_text(custom_allocation_url(w->e));
	u->hook.body = custom_allocation_request(w->e, w->r, &w->hubs, ours(w));
	registration_set(&u->host, mem_textn(u->hook.url, strcspn(u->hook.url, "?")));
	return AWAY;
}

static enum next
hear_status(struct walk *w)
{
	const struct webhook *hook = &w->u->hook;
	int number = hook->status ? custom_allocation_status_number(hook->status) : 0;

	if (hook->status && number) {
		w->number = number;
		(void)err_set(&w->err, ERR_DENIED, "the custom allocation failed with status code %d", hook->status);
		return REFUSED;
	}
	w->err = hook->err;
	return LATER;
}

static enum next
hear_allocation(struct walk *w)
{
	struct custom_allocation got;

	w->number = custom_allocation_read(&got, w->u->hook.json, w->e, &w->hubs, ours(w), &w->err);
	if (w->number)
		return REFUSED;
	registration_set(&w->r->twin, got.twin);
	registration_set(&w->r->returned, got.returned);
	go_to(w, got.hub, got.twin != NULL);
	mem_free(got.hub);
	return NEXT;
}

static enum next
hear_hook(struct walk *w)
{
	bool answered = w->u->hook.status >= 200 && w->u->hook.status < 300;
	enum next next = answered ? hear_allocation(w) : hear_status(w);

	webhook_clear(&w->u->hook);
	w->u->what = PURSUIT_NOTHING;
	return next;
}

static enum next
choose(struct walk *w)
{
	enum next next;

	if (w->u->what == PURSUIT_HOOK)
		return hear_hook(w);
	if (w->r->from && hub_choice_find(&w->hubs, ours(w), w->r->from) < 0)
		return refuse(w, CONFLICT, "the hub of this registration is no longer linked");
	if (w->r->from && !reprovision_policy(w->e).update) {
		next = look_back(w);
		if (next != NEXT)
			return next;
		if (w->u->left) {
			reprovision_stay(w->r);
			return NEXT;
		}
		registration_set(&w->r->from, NULL);
	}
	return custom_allocation_is_wanted(w->e) ? ask_hook(w) : pick(w);
}

/* -- Into it ---------------------------------------------------------------------------------------------------------------------------- */

/* One that an operator has disabled stays so wherever it goes. */
static struct identity *
wanted_device(const struct walk *w)
{
	struct identity *wanted = provisioned_device(w->e, w->r);
	const struct identity *left = w->u->left;

	if (!wanted || !left)
		return wanted;
	wanted->enabled = left->enabled;
	wanted->status_reason = mem_text(left->status_reason);
	if (w->r->substatus == REGISTRATION_MIGRATED)
		wanted->is_edge = left->is_edge;
	return wanted;
}

static json_t *
wanted_twin(const struct walk *w)
{
	struct err err = ERR_INIT;

	if (w->r->substatus == REGISTRATION_MIGRATED)
		return json_deep_copy(w->u->left_twin);
	if (w->r->twin)
		return json_parse(w->r->twin, strlen(w->r->twin), &err);
	return json_deep_copy(json_object_get(w->e->wishes, "initialTwin")); /* the pool reads it */
}

/* In our hub the claim is on disk before the device is, and what is there of somebody else's is seen before either. */
static enum next
make_here(struct walk *w, struct errand *errand)
{
	errand->device_id = w->r->device_id;
	if (!errand_may_make_here(errand, w->u->provisioning->config.registry)) {
		errand->device_id = NULL;
		w->err = errand->err;
		errand_clear(errand);
		return refuse(w, CONFLICT, NULL);
	}
	errand->owned = w->r->owned = true;
	if (persist(w, NEXT) == NEXT)
		return send_errand(w, *errand, w->r->hub);
	errand->device_id = NULL;
	errand_clear(errand);
	return BROKEN;
}

static enum next
start_making(struct walk *w)
{
	struct errand errand = {
		.kind = ERRAND_MAKE, .wanted = wanted_device(w), .rotates = w->r->issued != NULL, .owned = w->r->owned
	};

	if (!errand.wanted)
		return refuse(w, CONFLICT, "its certificate is not known: it is to register again");
	errand.twin = wanted_twin(w);
	return is_ours(w, w->r->hub) ? make_here(w, &errand) : send_errand(w, errand, w->r->hub);
}

static enum next
take_made(struct walk *w)
{
	struct registration *r = w->r;

	if (w->u->errand.end != ERRAND_DONE)
		return end_badly(w);
	if (w->u->errand.was_there && r->substatus == REGISTRATION_INITIAL && w->u->is_first)
		r->substatus = REGISTRATION_REPROVISIONED;
	r->owned = true;
	r->assigned = true;
	r->updated = clock_wall();
	r->tries = 0;
	end_errand(w->u);
	return r->from ? persist(w, NEXT) : NEXT;
}

/* Its hub was chosen, and is linked no longer: another one, unless the device is there. */
static enum next
choose_anew(struct walk *w)
{
	if (w->r->owned)
		return refuse(w, CONFLICT, "the hub of this registration is no longer linked");
	registration_set(&w->r->hub, mem_text(""));
	return NEXT;
}

/* It moved, and registers again before it is out of the hub that it left: there is nothing to take along any more.  In our hub the claim says that it is ours before it is there. */
static bool
has_moved(const struct walk *w)
{
	OWN(identity) here = NULL;

	if (!w->r->owned || !is_ours(w, w->r->hub))
		return w->r->owned;
	here = registry_find(w->u->provisioning->config.registry, w->r->device_id, NULL);
	return here != NULL;
}

static enum next
make(struct walk *w)
{
	enum next next;

	if (w->u->what == PURSUIT_ERRAND && w->u->errand.kind == ERRAND_MAKE)
		return take_made(w);
	if (hub_choice_find(&w->hubs, ours(w), w->r->hub) < 0)
		return choose_anew(w);
	if (w->r->from && !has_moved(w)) {
		if (hub_choice_find(&w->hubs, ours(w), w->r->from) < 0)
			return refuse(w, CONFLICT, "the hub that it leaves is no longer linked");
		next = look_back(w);
		if (next != NEXT)
			return next;
		if (!w->u->left && w->r->substatus == REGISTRATION_MIGRATED)
			w->r->substatus = REGISTRATION_RESET; /* nothing is left to take along */
	}
	return start_making(w);
}

/* -- Out of the other ------------------------------------------------------------------------------------------------------------------- */

static enum next
leave(struct walk *w)
{
	enum next next = NEXT;

	if (hub_choice_find(&w->hubs, ours(w), w->r->from) < 0) {
		log_warn("provisioning: %s stays in the hub %s too, which is no longer linked", w->r->device_id, w->r->from);
		registration_set(&w->r->from, NULL);
		return NEXT;
	}
	if (w->u->what != PURSUIT_ERRAND)
		next = send_errand(w, (struct errand){ .kind = ERRAND_REMOVE }, w->r->from);
	if (next != NEXT)
		return next;
	if (w->u->errand.end != ERRAND_DONE) {
		next = end_badly(w);
		return next == REFUSED ? LATER : next; /* it is assigned: that stays true */
	}
	end_errand(w->u);
	log_info("provisioning: %s has moved from %s to %s", w->r->device_id, w->r->from, w->r->hub);
	registration_set(&w->r->from, NULL);
	return NEXT;
}

/* -- All of it --------------------------------------------------------------------------------------------------------------------------- */

static enum next
step(struct walk *w)
{
	if (w->r->assigned)
		return w->r->from ? leave(w) : DONE;
	if (!w->e)
		return refuse(w, NO_ENROLLMENT, "its enrollment is gone or disabled");
	return *w->r->hub ? make(w) : choose(w);
}

static enum next
finish(struct walk *w, enum next next)
{
	struct registration *r = w->r;
	int64_t now = clock_wall();

	if (next == AWAY && w->u->provisioning->n_running > PURSUIT_RUNNING_MAX) {
		(void)err_set(&w->err, ERR_LIMIT, "too many registrations wait for other hubs");
		next = LATER;
	}
	if (next == LATER) {
		log_warn("provisioning: %s: %s", r->device_id, w->err.text);
		r->due = now + pursuit_pause_s(r->tries++);
	} else {
		r->due = next == AWAY ? now + PURSUIT_LEASE_S : 0;
	}
	return persist(w, next);
}

/* The walk of a registration that is in memory. */
static enum next
walk(struct walk *w)
{
	enum next next;

	next = linked_hubs_load(db_of(w), &w->hubs, &w->err) < 0 ? BROKEN : NEXT;
	while (next == NEXT)
		next = step(w);
	linked_hubs_clear(&w->hubs);
	return next == REFUSED || next == BROKEN ? next : finish(w, next);
}

static struct pursuit_answer
answer_of(const struct walk *w, enum next next)
{
	static const enum pursuit_end ends[] = { [AWAY] = PURSUIT_AWAY,
		[DONE] = PURSUIT_DONE,
		[REFUSED] = PURSUIT_REFUSED,
		[LATER] = PURSUIT_AWAY,
		[BROKEN] = PURSUIT_BROKEN };

	return (struct pursuit_answer){ .end = ends[next], .number = w->number, .err = w->err };
}

/* Others go on with it: that this question was asked is on disk, and they see it when they are back. */
static struct pursuit_answer
join(struct provisioning *p, struct registration *r)
{
	struct pursuit_answer answer = { .end = PURSUIT_AWAY };

	r->due = clock_wall() + PURSUIT_LEASE_S;
	if (registration_put(registry_store_db(registry_store_of(p->config.registry)), r, &answer.err) < 0)
		answer.end = PURSUIT_BROKEN;
	return answer;
}

struct pursuit_answer
pursuit_begin(struct provisioning *p, struct registration *r, const struct enrollment *e)
{
	struct pursuit *u;
	struct walk w;
	enum next next;

	if (pursuit_is_running(p, r->id))
		return join(p, r);
	u = pursuit_new(p, r);
	u->is_first = !r->from && !r->owned;
	w = (struct walk){ .u = u, .r = r, .e = e };
	next = walk(&w);
	if (next == AWAY)
		pursuit_send(u);
	else
		pursuit_free(u);
	return answer_of(&w, next);
}

/* -- By ourselves --------------------------------------------------------------------------------------------------------------------------- */

/* What follows from the enrollment as it is now: NULL: nothing any more. */
static int
find_enrollment(struct walk *w, struct enrollment **out)
{
	const struct registration *r = w->r;

	if (enrollment_store_find(db_of(w), r->group_id != NULL, r->group_id ? r->group_id : r->id, out, &w->err) < 0)
		return -1;
	if (*out && !(*out)->enabled) {
		enrollment_free(*out);
		*out = NULL;
	}
	return 0;
}

/* Refused without anybody to tell it to: the device hears it when it asks. */
static enum next
settle(struct walk *w, enum next next)
{
	if (next == REFUSED) {
		log_warn("provisioning: %s: %s", w->r->device_id, w->err.text);
		registration_set(&w->r->failure, mem_text(w->err.text));
		w->r->error = w->number;
		w->r->updated = clock_wall();
		next = finish(w, REFUSED);
	}
	if (next == BROKEN)
		log_error("provisioning: %s: %s", w->r->id, w->err.text);
	return next;
}

/* Registered again meanwhile: what was asked on account of the registration before does not count, but that the device was made. */
static void
forget_what_is_old(struct walk *w)
{
	struct pursuit *u = w->u;
	bool made = u->what == PURSUIT_ERRAND && u->errand.kind == ERRAND_MAKE && u->errand.end == ERRAND_DONE;

	if (text_is(u->operation, w->r->operation))
		return;
	w->r->owned = w->r->owned || (made && text_is_nocase(u->host, w->r->hub));
	pursuit_forget(u, w->r);
}

static enum next
go_on(struct walk *w)
{
	OWN(enrollment) e = NULL;

	if (find_enrollment(w, &e) < 0)
		return BROKEN;
	w->e = e;
	forget_what_is_old(w);
	return settle(w, walk(w));
}

bool
pursuit_go_on(struct pursuit *u)
{
	OWN(registration) r = NULL;
	struct walk w = { .u = u };

	if (registration_find(db_of(&w), u->id, &r, &w.err) < 0)
		log_error("provisioning: %s: %s", u->id, w.err.text);
	w.r = r;
	return r && registration_is_unfinished(r) && go_on(&w) == AWAY;
}
