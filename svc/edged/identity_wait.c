/* SPDX-License-Identifier: Apache-2.0 */
/* One thread, which ends when every module has its identity. */
#include "edged/identity_wait.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "identityd/client.h"

#define RETRY_MS 2000
#define GATEWAY_MODULE "$edgeHub"

struct identity_wait {
	struct edged *edged;
	pthread_t thread;
	bool has_thread;
	int stop_fd;
};

/* The module's keys are put into the hub; while the hub is away, the identity that was kept will do. */
static int
take_identity(struct edged *e, struct module *m, struct err *err)
{
	OWN(edge_identity) identity = identityd_client_update_module(e->identityd, m->id, err);

	if (!identity) {
		log_warn("module %s: its keys could not be put into the hub: %s", m->id, err->text);
		identity = identityd_client_get_module(e->identityd, m->id, err);
	}
	if (!identity)
		return -1;
	if (!identity->generation_id || !identity->key_handle)
		return err_set(err, ERR_BROKEN, "identityd gave no key for the module %s", m->id);
	m->generation_id = mem_text(identity->generation_id);
	m->sign_handle = mem_text(identity->key_handle);
	atomic_store(&m->has_identity, true);
	return 0;
}

static bool
try_module(struct edged *e, struct module *m)
{
	struct err err = ERR_INIT;

	if (atomic_load(&m->has_identity) || take_identity(e, m, &err) == 0)
		return true;
	log_error("module %s has no identity yet, trying again in %d s: %s", m->id, RETRY_MS / 1000, err.text);
	return false;
}

/* False: it is time to stop. */
static bool
pause_between(const struct identity_wait *w)
{
	struct pollfd p = { .fd = w->stop_fd, .events = POLLIN };

	return poll(&p, 1, RETRY_MS) == 0;
}

static bool
try_all(struct edged *e)
{
	bool all = true;

	for (size_t i = 0; i < e->n_modules; i++)
		all = try_module(e, &e->modules[i]) && all;
	return all;
}

static void *
run(void *arg)
{
	struct identity_wait *w = arg;

	while (pause_between(w) && !try_all(w->edged))
		;
	return NULL;
}

struct identity_wait *
identity_wait_start(struct edged *edged)
{
	struct identity_wait *w = NEW(identity_wait);
	bool all;

	w->edged = edged;
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	for (size_t i = 0; i < edged->n_modules; i++)
		while (text_is(edged->modules[i].id, GATEWAY_MODULE) && !try_module(edged, &edged->modules[i]))
			pause_between(w);
	all = try_all(edged);
	w->has_thread = !all && pthread_create(&w->thread, NULL, run, w) == 0;
	if (!all && !w->has_thread)
		log_error("no thread could be made that tries again");
	return w;
}

void
identity_wait_stop(struct identity_wait *w)
{
	if (!w)
		return;
	eventfd_write(w->stop_fd, 1);
	if (w->has_thread)
		pthread_join(w->thread, NULL);
	close(w->stop_fd);
	mem_free(w);
}
