/* SPDX-License-Identifier: Apache-2.0 */
/* Kept subscriptions. */
#include "base/mem.h"
#include "hub/registry/subscriptions.h"
#include "t.h"

static void
post_nowhere(struct owner *owner, struct post *post)
{
	(void)owner;
	(void)post; /* the job's end is of no interest here */
}

static struct owner nowhere = { .post = post_nowhere };

struct fixture {
	struct registry_store *store;
	struct pool *worker;
	struct registry *registry;
	struct subscriptions *subscriptions;
};

static void
fixture_open(struct fixture *f, const char *path)
{
	struct err err = ERR_INIT;

	f->store = registry_store_open(path, &err);
	f->worker = pool_new("registry", 1, 10);
	f->registry = registry_open(f->store, f->worker, &err);
	f->subscriptions = subscriptions_open(f->registry, &nowhere, &err);
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
	subscriptions_set(f.subscriptions, "dev1", filters, qos, 1);
	subscriptions_set(f.subscriptions, "dev2", filters, qos, 2);
	subscriptions_set(f.subscriptions, "dev1", filters, qos, 2);
	subscriptions_set(f.subscriptions, "dev2", NULL, NULL, 0);
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
