/* SPDX-License-Identifier: Apache-2.0 */
/* One thread that sleeps most of the time. */
#include "edged/identity_keeper.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"

#define RETRY_MS 2000
#define RETRY_DEVICE_MS 5000
#define STOP_MS 1000
#define LOOK_MS (30 * 60 * 1000) /* to twice that, so that a thousand devices don't ask at once */
#define DEVICE_MS 30000
#define DOUBT_MS 30000
#define REACH_MS 1000
#define GATEWAY_MODULE "$edgeHub"

struct identity_keeper {
	struct edged *edged;
	void (*begun)(void *arg);
	void *arg;
	pthread_t thread;
	bool has_thread;
	atomic_bool stopping;
	_Atomic int64_t may_reach_ms;
	int wake_fd, end_fd; /* end_fd: readable once the thread is about to end */
};

/* -- One module -------------------------------------------------------------------------------------------------------------------------- */

static bool
has_identity(struct module *m)
{
	struct err none = ERR_INIT;
	CLEAR(module_identity) identity = { 0 };

	return module_get_identity(m, &identity, &none) == 0;
}

int
identity_keeper_take(struct edged *e, struct module *m, const struct edge_identity *identity, struct err *err)
{
	CLEAR(module_identity) before = { 0 };
	struct err none = ERR_INIT;

	if (!identity->generation_id || !identity->key_handle)
		return err_set(err, ERR_BROKEN, "identityd gave no key for the module %s", m->id);
	if (module_get_identity(m, &before, &none) == 0 && !text_is(before.generation_id, identity->generation_id)) {
		log_warn("module %s: it was made anew in the hub, its generation is now %s", m->id, identity->generation_id);
		if (text_is(m->id, GATEWAY_MODULE) && atomic_load(&e->has_begun))
			local_service_end(e->service); /* our supervisor tells the gateway when we begin again */
	}
	module_set_identity(m, identity->generation_id, identity->key_handle);
	atomic_store(&m->is_kept, false);
	return 0;
}

/* As the hub has it, or while that is away as it was kept.  What was kept and the hub does not stand for is none any more. */
static struct edge_identity *
get_identity(struct edged *e, struct module *m, struct err *err)
{
	struct edge_identity *identity = identityd_client_get_module(&e->identityd, m->id, err);

	if (!identity && atomic_load(&m->is_kept) && identityd_client_is_word_of_hub(err)) {
		log_warn("module %s: the hub does not stand for its kept identity, which is used no more", m->id);
		atomic_store(&m->is_kept, false);
		module_forget_identity(m);
	}
	return identity;
}

/* The module's keys are put into the hub, which makes it where it is missing; while the hub is away, the identity that was kept will do. */
static int
take_identity(struct edged *e, struct module *m, struct err *err)
{
	unsigned n_forgotten = module_n_forgotten(m);
	OWN(edge_identity) identity = identityd_client_update_module(&e->identityd, m->id, err);
	bool is_put = identity != NULL;
	int status;

	if (!identity) {
		log_warn("module %s: its keys could not be put into the hub: %s", m->id, err->text);
		if (has_identity(m) && !atomic_load(&m->is_kept))
			return 0;
		*err = (struct err)ERR_INIT;
		identity = get_identity(e, m, err);
	}
	if (!identity)
		return has_identity(m) ? 0 : -1;
	if (module_n_forgotten(m) != n_forgotten)
		return err_set(err, ERR_MISSING, "it was deleted meanwhile");
	status = identity_keeper_take(e, m, identity, err);
	atomic_store(&m->is_kept, status == 0 && !is_put);
	return status;
}

static bool
try_module(struct edged *e, struct module *m)
{
	struct err err = ERR_INIT;

	if (take_identity(e, m, &err) == 0)
		return true;
	log_error("module %s has no identity yet, trying again in %d s: %s", m->id, RETRY_MS / 1000, err.text);
	return false;
}

/* -- All of them, again and again -------------------------------------------------------------------------------------------------------- */

enum which { ALL, WITHOUT, DOUBTED };

/* True: somebody wants it to look. */
static bool
pause_for(const struct identity_keeper *k, int ms)
{
	struct pollfd p = { .fd = k->wake_fd, .events = POLLIN };
	eventfd_t count;

	return poll(&p, 1, ms) == 1 && eventfd_read(k->wake_fd, &count) == 0;
}

static bool
is_due(struct module *m, enum which which)
{
	bool is_doubted = which != WITHOUT && atomic_exchange(&m->is_doubted, false);

	return which == ALL || (which == DOUBTED ? is_doubted : !has_identity(m));
}

/* False: one has none yet. */
static bool
try_all(struct identity_keeper *k, enum which which)
{
	struct edged *e = k->edged;
	bool all = true;

	for (size_t i = 0; i < e->n_modules && !atomic_load(&k->stopping); i++)
		if (is_due(&e->modules[i], which))
			all = try_module(e, &e->modules[i]) && all;
	return all;
}

/* False: there are none. */
static bool
doubt_kept(struct edged *e)
{
	bool any = false;

	for (size_t i = 0; i < e->n_modules; i++)
		if (atomic_load(&e->modules[i].is_kept))
			atomic_store(&e->modules[i].is_doubted, any = true);
	return any;
}

/* What was kept serves from the first moment; whether the hub still says so is asked next. */
static void
take_kept(struct edged *e)
{
	for (size_t i = 0; i < e->n_modules; i++) {
		struct err none = ERR_INIT;
		OWN(edge_identity) identity = identityd_client_kept_module(&e->identityd, e->modules[i].id, &none);

		if (identity && identity_keeper_take(e, &e->modules[i], identity, &none) == 0)
			atomic_store(&e->modules[i].is_kept, true);
	}
	doubt_kept(e);
}

/* The gateway can't begin without; the hub's word about the others is not waited for until then. */
static void
wait_for_gateway(struct identity_keeper *k, struct module *m)
{
	atomic_store(&m->is_doubted, false);
	while (!atomic_load(&k->stopping) && !try_module(k->edged, m)) {
		try_all(k, DOUBTED);
		doubt_kept(k->edged);
		pause_for(k, RETRY_MS);
	}
}

/* False: one has none yet. */
static bool
begin(struct identity_keeper *k)
{
	struct edged *e = k->edged;
	bool all;

	while (!edged_device_ask(&e->device, &e->identityd) && !atomic_load(&k->stopping))
		pause_for(k, RETRY_DEVICE_MS);
	take_kept(e);
	for (size_t i = 0; i < e->n_modules; i++)
		if (text_is(e->modules[i].id, GATEWAY_MODULE))
			wait_for_gateway(k, &e->modules[i]);
	try_all(k, DOUBTED);
	all = try_all(k, WITHOUT);
	atomic_store(&e->has_begun, true);
	if (!atomic_load(&k->stopping))
		k->begun(k->arg);
	return all;
}

/* Provisioning may have sent it to another hub: whoever was told about the one before is told anew when we begin again. */
static void
look_at_device(struct edged *e)
{
	if (!edged_device_has_moved(&e->device, &e->identityd))
		return;
	log_warn("this device is not the one any more that it was when edged began");
	local_service_end(e->service);
}

static void *
run(void *arg)
{
	struct identity_keeper *k = arg;
	bool all = begin(k);
	int64_t look_ms = clock_boot_ms() + LOOK_MS + random_below(LOOK_MS);

	while (!atomic_load(&k->stopping)) {
		bool woken = pause_for(k, all ? DEVICE_MS : RETRY_MS);

		if (atomic_load(&k->stopping))
			break;
		if (woken)
			try_all(k, DOUBTED);
		look_at_device(k->edged);
		if (all && clock_boot_ms() < look_ms)
			continue;
		all = try_all(k, all ? ALL : WITHOUT);
		look_ms = clock_boot_ms() + LOOK_MS + random_below(LOOK_MS);
	}
	eventfd_write(k->end_fd, 1);
	return NULL;
}

struct identity_keeper *
identity_keeper_start(struct edged *edged, void (*begun)(void *arg), void *arg)
{
	struct identity_keeper *k = NEW(identity_keeper);

	k->edged = edged;
	k->begun = begun;
	k->arg = arg;
	k->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k->end_fd = eventfd(0, EFD_CLOEXEC);
	k->has_thread = pthread_create(&k->thread, NULL, run, k) == 0;
	if (!k->has_thread)
		log_error("no thread could be made that looks after the modules' identities");
	return k;
}

void
identity_keeper_doubt(struct identity_keeper *k, struct module *m)
{
	int64_t now = clock_boot_ms(), may = atomic_load(&m->may_doubt_ms);

	if (now < may || !atomic_compare_exchange_strong(&m->may_doubt_ms, &may, now + DOUBT_MS))
		return;
	atomic_store(&m->is_doubted, true);
	eventfd_write(k->wake_fd, 1);
}

void
identity_keeper_hub_reached(struct identity_keeper *k)
{
	int64_t now = clock_boot_ms(), may = atomic_load(&k->may_reach_ms);

	if (now < may || !atomic_compare_exchange_strong(&k->may_reach_ms, &may, now + REACH_MS))
		return;
	if (doubt_kept(k->edged))
		eventfd_write(k->wake_fd, 1);
}

bool
identity_keeper_stop(struct identity_keeper *k)
{
	struct pollfd p;

	if (!k || !k->has_thread)
		return true;
	atomic_store(&k->stopping, true);
	atomic_store(&k->edged->is_ending, true);
	eventfd_write(k->wake_fd, 1);
	p = (struct pollfd){ .fd = k->end_fd, .events = POLLIN };
	if (poll(&p, 1, STOP_MS) != 1) {
		pthread_detach(k->thread);
		return false;
	}
	pthread_join(k->thread, NULL);
	k->has_thread = false;
	return true;
}

void
identity_keeper_free(struct identity_keeper *k)
{
	if (!k)
		return;
	close(k->wake_fd);
	close(k->end_fd);
	mem_free(k);
}
