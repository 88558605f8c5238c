/* SPDX-License-Identifier: Apache-2.0 */
/* Kept subscriptions. */
#include <sched.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/mem.h"
#include "hub/registry/registry_subscriptions.h"
#include "t.h"

static void
post_at_once(struct owner *owner, struct post *post)
{
	(void)owner;
	post->run(post);
}

static struct owner at_once = { .post = post_at_once };

struct fixture {
	struct registry_store *store;
	struct pool *worker;
	struct registry *registry;
	struct subscriptions *subscriptions;
};

static void
fixture_open(struct fixture *f, const char *path)
{
	struct subscriptions_keeper keeper;
	struct err err = ERR_INIT;

	f->store = registry_store_open(path, &err);
	f->worker = pool_new("registry", 1, 10);
	f->registry = registry_open(f->store, f->worker, &err);
	keeper = registry_subscriptions(f->registry);
	f->subscriptions = subscriptions_open(&keeper, &at_once, &err);
	if (!f->subscriptions)
		fail_msg("%s", err.text);
}

static void
fixture_close(struct fixture *f)
{
	registry_stop(f->registry);
	pool_free(f->worker);
	subscriptions_close(f->subscriptions);
	registry_close(f->registry);
	registry_store_close(f->store);
}

TEST("subscriptions are there again after a restart, changed ones as they were last, removed ones not")
{
	OWN_TEXT path = mem_textf("%s/hub.sqlite", T_TMPDIR);
	const char *filters[] = { "$iothub/twin/res/#", "devices/dev1/messages/devicebound/#" };
	const uint8_t qos[] = { 0, 1 };
	struct subscription_list list;
	struct fixture f;

	fixture_open(&f, path);
	subscriptions_set(f.subscriptions, "dev1", filters, qos, 1, NULL);
	subscriptions_set(f.subscriptions, "dev2", filters, qos, 2, NULL);
	subscriptions_set(f.subscriptions, "dev1", filters, qos, 2, NULL);
	subscriptions_set(f.subscriptions, "dev2", NULL, NULL, 0, NULL);
	fixture_close(&f);
	fixture_open(&f, path);
	subscriptions_get(f.subscriptions, "dev1", &list);
	CHECK_INT(list.n, 2);
	CHECK_STR(list.filters[0], "$iothub/twin/res/#");
	CHECK_STR(list.filters[1], "devices/dev1/messages/devicebound/#");
	CHECK_INT(list.qos[0], 0);
	CHECK_INT(list.qos[1], 1);
	subscription_list_clear(&list);
	subscriptions_get(f.subscriptions, "dev2", &list);
	CHECK_INT(list.n, 0);
	subscription_list_clear(&list);
	fixture_close(&f);
}

struct told {
	struct subscriptions_wait wait;
	atomic_int n_ok, n_failed;
};

static void
on_told(struct subscriptions_wait *wait, bool ok)
{
	struct told *told = CONTAINER_OF(wait, struct told, wait);

	atomic_fetch_add(ok ? &told->n_ok : &told->n_failed, 1);
}

static void
wait_for(const struct told *told)
{
	int64_t end_ms = clock_boot_ms() + 20000;

	while (atomic_load(&told->n_ok) + atomic_load(&told->n_failed) == 0 && clock_boot_ms() < end_ms)
		sched_yield();
	CHECK_INT(atomic_load(&told->n_ok) + atomic_load(&told->n_failed), 1);
}

TEST("who waits for subscriptions is told once, that they are kept or that they could not be; what is kept already is not waited "
     "for")
{
	OWN_TEXT path = mem_textf("%s/hub.sqlite", T_TMPDIR);
	const char *filters[] = { "$iothub/twin/res/#", "devices/dev1/messages/devicebound/#" };
	const uint8_t qos[] = { 0, 1 };
	struct told first = { .wait = { .done = on_told, .owner = &at_once } }, second = first, third = first;
	struct fixture f;

	fixture_open(&f, path);
	CHECK(!subscriptions_set(f.subscriptions, "dev1", filters, qos, 1, &first.wait));
	wait_for(&first);
	CHECK(subscriptions_set(f.subscriptions, "dev1", filters, qos, 1, &second.wait));
	registry_stop(f.registry);
	CHECK(!subscriptions_set(f.subscriptions, "dev1", filters, qos, 2, &third.wait));
	wait_for(&third);
	fixture_close(&f);
	CHECK_INT(atomic_load(&first.n_ok), 1);
	CHECK_INT(atomic_load(&second.n_ok) + atomic_load(&second.n_failed), 0);
	CHECK_INT(atomic_load(&third.n_failed), 1);
}

/* A job in the worker's queue: it holds the worker until it may go on, and then looks how many lists are kept. */
struct look {
	struct job job;
	struct registry_store *store;
	atomic_bool may_go_on, is_done;
	size_t n_kept;
};

static void
count_list(void *arg, const char *name, const char *filters)
{
	(void)name;
	(void)filters;
	++*(size_t *)arg;
}

static void
run_look(struct job *job)
{
	struct look *look = CONTAINER_OF(job, struct look, job);
	struct err err = ERR_INIT;

	while (!atomic_load(&look->may_go_on))
		sched_yield();
	CHECK_OK(registry_store_subscriptions(look->store, count_list, &look->n_kept, &err), err);
}

static void
look_done(struct job *job)
{
	atomic_store(&CONTAINER_OF(job, struct look, job)->is_done, true);
}

static void
look_later(struct look *look, struct fixture *f, bool may_go_on)
{
	*look = (struct look){ .job = { .run = run_look, .done = look_done, .owner = &at_once }, .store = f->store };
	atomic_init(&look->may_go_on, may_go_on);
	CHECK(registry_work(f->registry, &look->job));
}

TEST("when very many change, what others want of the worker comes in between")
{
	OWN_TEXT path = mem_textf("%s/many.sqlite", T_TMPDIR);
	const char *filters[] = { "$iothub/twin/res/#" };
	const uint8_t qos[] = { 0 };
	struct look first, second;
	struct fixture f;

	fixture_open(&f, path);
	look_later(&first, &f, false);
	for (int i = 0; i < 5000; i++) {
		OWN_TEXT name = mem_textf("dev%d", i);

		subscriptions_set(f.subscriptions, name, filters, qos, 1, NULL);
	}
	look_later(&second, &f, true);
	atomic_store(&first.may_go_on, true);
	for (int64_t end_ms = clock_boot_ms() + 20000; !atomic_load(&second.is_done) && clock_boot_ms() < end_ms;)
		sched_yield();
	CHECK(atomic_load(&second.is_done));
	CHECK_INT(first.n_kept, 0);
	CHECK(second.n_kept > 0 && second.n_kept < 5000);
	fixture_close(&f);
	fixture_open(&f, path); /* and all of them are kept at last */
	look_later(&first, &f, true);
	fixture_close(&f);
	CHECK_INT(first.n_kept, 5000);
}
