/* SPDX-License-Identifier: Apache-2.0 */
/* The table of packed records: found as long as it is there, by its own name only, whatever comes and goes around it. */
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub/registry/registry_table.h"
#include "t.h"

#define N 20000

static struct registry_pack *
record(const char *device_id, const char *module_id, bool enabled, const char *reason)
{
	OWN(identity) identity = identity_new(device_id, module_id);

	identity->enabled = enabled;
	identity->status_reason = mem_text(reason);
	return registry_pack_new(identity);
}

static void
put(struct registry_table *table, int i, const char *reason)
{
	char id[32];

	snprintf(id, sizeof(id), "dev-%d", i);
	registry_pack_free(registry_table_put(table, record(id, NULL, i % 2 == 0, reason)));
}

static bool
drop(struct registry_table *table, int i)
{
	struct registry_pack *pack;
	char id[32];

	snprintf(id, sizeof(id), "dev-%d", i);
	pack = registry_table_remove(table, id, NULL);
	registry_pack_free(pack);
	return pack != NULL;
}

/* Is it there, with this reason? */
static bool
has(struct registry_table *table, int i, const char *reason)
{
	OWN(identity) found = NULL;
	char id[32];

	snprintf(id, sizeof(id), "dev-%d", i);
	found = registry_table_find(table, id, NULL);
	return found && text_is(found->device_id, id) && text_is(found->status_reason, reason);
}

TEST("an empty table has nothing, and nothing to remove")
{
	struct registry_table *table = registry_table_new();
	size_t n, enabled;

	CHECK(!registry_table_find(table, "dev", NULL));
	CHECK(!registry_table_remove(table, "dev", NULL));
	registry_table_count(table, &n, &enabled);
	CHECK_INT(n, 0);
	registry_table_free(table);
}

TEST("twenty thousand records are found, replaced and removed, and no neighbour is lost on the way")
{
	struct registry_table *table = registry_table_new();
	size_t n, enabled;

	for (int i = 0; i < N; i++)
		put(table, i, "first");
	for (int i = 0; i < N; i += 3)
		CHECK(drop(table, i));
	for (int i = 1; i < N; i += 3)
		put(table, i, "second");
	for (int i = 0; i < N; i++)
		CHECK(i % 3 == 0 ? !has(table, i, "first") : has(table, i, i % 3 == 1 ? "second" : "first"));
	registry_table_count(table, &n, &enabled);
	CHECK_INT(n, N - (N + 2) / 3);
	CHECK_INT(enabled, n / 2);
	for (int i = 0; i < N; i++)
		CHECK(drop(table, i) == (i % 3 != 0));
	registry_table_count(table, &n, &enabled);
	CHECK_INT(n, 0);
	CHECK_INT(enabled, 0);
	registry_table_free(table);
}

TEST("a module is not its device, and counts as none")
{
	struct registry_table *table = registry_table_new();
	OWN(identity) module = NULL;
	size_t n, enabled;

	registry_table_put(table, record("dev", "mod", true, NULL));
	CHECK(!registry_table_find(table, "dev", NULL));
	CHECK(!registry_table_find(table, "dev/mod", NULL));
	module = registry_table_find(table, "dev", "mod");
	CHECK_STR(module->module_id, "mod");
	registry_table_count(table, &n, &enabled);
	CHECK_INT(n, 0);
	registry_table_free(table);
}

TEST("a name that is longer than any is not found")
{
	struct registry_table *table = registry_table_new();
	char id[300];

	memset(id, 'x', sizeof(id));
	id[sizeof(id) - 1] = '\0';
	CHECK(!registry_table_find(table, id, NULL));
	CHECK(!registry_table_find(table, "d", id));
	CHECK(!registry_table_remove(table, id, NULL));
	registry_table_free(table);
}

struct reading {
	struct registry_table *table;
	bool missed;
};

static void *
read_on(void *arg)
{
	struct reading *reading = arg;

	for (int round = 0; round < 20; round++)
		for (int i = 0; i < 1000; i += 2)
			reading->missed = reading->missed || !has(reading->table, i, "stays");
	return NULL;
}

TEST("what stays is found at any moment while others come and go beside it")
{
	struct reading reading = { .table = registry_table_new() };
	pthread_t reader;

	for (int i = 0; i < 1000; i++)
		put(reading.table, i, "stays");
	pthread_create(&reader, NULL, read_on, &reading);
	for (int round = 0; round < 20; round++) {
		for (int i = 1000; i < 3000; i++)
			put(reading.table, i, "goes");
		for (int i = 1000; i < 3000; i++)
			drop(reading.table, i);
	}
	pthread_join(reader, NULL);
	CHECK(!reading.missed);
	registry_table_free(reading.table);
}
