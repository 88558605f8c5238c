/* SPDX-License-Identifier: Apache-2.0 */
/* All pursuits that are under way, their lanes to the pool, and the timer (pursuit.h). */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/pursuit_inside.h"

#define THREADS 16
#define QUEUE_MAX 64
#define LANE_MAX 4 /* asked of one at the same time */
#define TICK_MS 1000
#define DUE_MAX 64 /* a tick */
#define PAUSE_MAX_S 300

int64_t
pursuit_pause_s(int tries)
{
	return tries < 8 ? 1 << tries : PAUSE_MAX_S;
}

/* -- The list: of the worker, and once more of whoever gives one up ------------------------------------------------------------------------ */

static struct pursuit *
find(struct provisioning *p, const char *id)
{
	struct pursuit *u;

	for (u = p->running; u && !text_is_nocase(u->id, id);)
		u = u->next;
	return u;
}

bool
pursuit_is_running(struct provisioning *p, const char *id)
{
	bool running;

	pthread_mutex_lock(&p->lock);
	running = find(p, id) != NULL;
	pthread_mutex_unlock(&p->lock);
	return running;
}

struct pursuit *
pursuit_new(struct provisioning *p, const struct registration *r)
{
	struct pursuit *u = NEW(pursuit), **at = &p->running;

	u->provisioning = p;
	u->id = mem_text(r->id);
	u->operation = mem_text(r->operation);
	pthread_mutex_lock(&p->lock);
	while (*at)
		at = &(*at)->next;
	*at = u;
	p->n_running++;
	pthread_mutex_unlock(&p->lock);
	return u;
}

static void
clear(struct pursuit *u)
{
	errand_clear(&u->errand);
	webhook_clear(&u->hook);
	linked_hub_free(u->hub);
	identity_free(u->left);
	json_decref(u->left_twin);
	mem_free(u->host);
	mem_free(u->operation);
}

void
pursuit_free(struct pursuit *u)
{
	struct provisioning *p = u->provisioning;
	struct pursuit **at = &p->running;

	pthread_mutex_lock(&p->lock);
	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	p->n_running--;
	pthread_mutex_unlock(&p->lock);
	clear(u);
	mem_free(u->id);
	mem_free(u);
}

void
pursuit_forget(struct pursuit *u, const struct registration *r)
{
	clear(u);
	u->host = NULL;
	u->hub = NULL;
	u->left = NULL;
	u->left_twin = NULL;
	u->has_looked = false;
	u->what = PURSUIT_NOTHING;
	u->is_first = false;
	u->operation = mem_text(r->operation);
}

/* -- Lanes ------------------------------------------------------------------------------------------------------------------------------------ */

static void
run(struct job *job)
{
	struct pursuit *u = CONTAINER_OF(job, struct pursuit, ask);
	struct provisioning *p = u->provisioning;

	if (u->what == PURSUIT_HOOK)
		webhook_ask(&u->hook, p->hub_anchors, &p->stopping);
	else
		errand_run_there(
			&u->errand, &(struct errand_way){ .hub = u->hub, .anchors = p->hub_anchors, .cancelled = &p->stopping });
}

static void on_asked(struct job *job);

/* Under the lock. */
static bool
lane_is_full(const struct provisioning *p, const char *host)
{
	size_t n = 0;

	for (const struct pursuit *u = p->running; u; u = u->next)
		n += u->is_away && text_is_nocase(u->host, host);
	return n >= LANE_MAX;
}

/* The first ones that wait for a lane that is free.  Any thread. */
static void
send_waiting(struct provisioning *p)
{
	bool room = true;

	pthread_mutex_lock(&p->lock);
	for (struct pursuit *u = p->running; u && room && !p->stopping; u = u->next) {
		if (!u->waits || lane_is_full(p, u->host))
			continue;
		u->ask = (struct job){ .run = run, .done = on_asked, .owner = p->config.owner };
		u->is_away = true;
		room = pool_try(p->pool, &u->ask);
		u->is_away = room;
		u->waits = !room;
	}
	pthread_mutex_unlock(&p->lock);
}

void
pursuit_send(struct pursuit *u)
{
	struct provisioning *p = u->provisioning;

	pthread_mutex_lock(&p->lock);
	u->waits = true;
	pthread_mutex_unlock(&p->lock);
	send_waiting(p);
}

static void
come_back(struct job *job)
{
	struct pursuit *u = CONTAINER_OF(job, struct pursuit, hear);

	u->goes_on = pursuit_go_on(u);
}

static void
on_heard(struct job *job)
{
	struct pursuit *u = CONTAINER_OF(job, struct pursuit, hear);

	if (u->goes_on)
		pursuit_send(u);
	else
		pursuit_free(u);
}

/* Where the worker has too much to do, or is no more, the timer begins anew. */
static void
on_asked(struct job *job)
{
	struct pursuit *u = CONTAINER_OF(job, struct pursuit, ask);
	struct provisioning *p = u->provisioning;

	pthread_mutex_lock(&p->lock);
	u->is_away = false;
	pthread_mutex_unlock(&p->lock);
	u->hear = (struct job){ .run = come_back, .done = on_heard, .owner = p->config.owner };
	if (!registry_work(p->config.registry, &u->hear))
		pursuit_free(u);
	send_waiting(p);
}

void
pursuit_wake(struct provisioning *p, const struct registration *r)
{
	struct pursuit *u;

	if (pursuit_is_running(p, r->id))
		return;
	u = pursuit_new(p, r);
	if (pursuit_go_on(u))
		pursuit_send(u);
	else
		pursuit_free(u);
}

/* -- The timer ---------------------------------------------------------------------------------------------------------------------------------- */

struct due {
	struct provisioning *provisioning;
	struct registration *item[DUE_MAX];
	size_t n;
};

static void
take_due(void *arg, struct registration *registration_take)
{
	struct due *due = arg;

	due->item[due->n++] = registration_take;
}

/* Those that wait for a hub that is slow are due again before it is their turn, and those that can't be read stay due: they would be the oldest at every look, and keep it from
 * all others. */
static int
postpone(struct registry_store *store, const struct due *due, struct err *err)
{
	int64_t until = clock_wall() + PURSUIT_LEASE_S;
	int done = 0;

	if (due->n == 0)
		return 0;
	if (registry_store_begin(store, err) < 0)
		return -1;
	for (size_t i = 0; i < due->n && done == 0; i++)
		done = registration_postpone(registry_store_db(store), due->item[i]->id, until, err);
	return registry_store_end(store, done, err);
}

static void
look(struct job *job)
{
	struct provisioning *p = CONTAINER_OF(job, struct provisioning, look);
	struct registry_store *store = registry_store_of(p->config.registry);
	struct due due = { .provisioning = p };
	struct err err = ERR_INIT;

	if (registration_list_due(registry_store_db(store), clock_wall(), DUE_MAX, take_due, &due, &err) < 0 ||
		postpone(store, &due, &err) < 0)
		log_error("provisioning: %s", err.text);
	for (size_t i = 0; i < due.n; i++) {
		if (err.kind == ERR_NONE)
			pursuit_wake(p, due.item[i]);
		registration_free(due.item[i]);
	}
}

static void
on_looked(struct job *job)
{
	struct provisioning *p = CONTAINER_OF(job, struct provisioning, look);

	if (!p->stopping)
		timer_arm(&p->timer, TICK_MS);
}

static void
on_tick(struct timer *timer)
{
	struct provisioning *p = CONTAINER_OF(timer, struct provisioning, timer);

	p->look = (struct job){ .run = look, .done = on_looked, .owner = p->config.owner };
	if (!registry_work(p->config.registry, &p->look))
		on_looked(&p->look);
}

int
pursuits_open(struct provisioning *p, struct err *err)
{
	p->pool = pool_new("hubs", THREADS, QUEUE_MAX);
	timer_init(&p->timer, p->config.loop, on_tick);
	if (registration_all_are_due(registry_store_db(registry_store_of(p->config.registry)), err) < 0)
		return -1;
	timer_arm(&p->timer, TICK_MS);
	return 0;
}

void
pursuits_stop(struct provisioning *p)
{
	timer_cancel(&p->timer);
	pool_free(p->pool);
	p->pool = NULL;
}

void
pursuits_close(struct provisioning *p)
{
	while (p->running)
		pursuit_free(p->running);
}
