/* SPDX-License-Identifier: Apache-2.0 */
/* Kept subscriptions in hub.sqlite: reading is done before the hub serves, writing is a step of the registry's. */
#include "hub/registry/registry_subscriptions.h"

static int
load(void *arg, void (*each)(void *each_arg, const char *name, const char *text), void *each_arg, struct err *err)
{
	return registry_store_subscriptions(registry_store_of(arg), each, each_arg, err);
}

static int
begin(void *arg, struct err *err)
{
	return registry_store_begin(registry_store_of(arg), err);
}

static int
put(void *arg, const char *name, const char *text, struct err *err)
{
	return registry_store_put_subscriptions(registry_store_of(arg), name, text, err);
}

static int
end(void *arg, int done, struct err *err)
{
	return registry_store_end(registry_store_of(arg), done, err);
}

static bool
work(void *arg, struct job *job)
{
	return registry_work(arg, job);
}

struct subscriptions_keeper
registry_subscriptions(struct registry *registry)
{
	return (struct subscriptions_keeper){ .arg = registry, .load = load, .begin = begin, .put = put, .end = end, .work = work };
}
