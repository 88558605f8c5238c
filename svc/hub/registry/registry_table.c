/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing (registry_table.h).  Beside each record stands its hash: probing and growing touch no record but the right one.
 * The hash is keyed per process, so that whoever chooses ids can't choose collisions. */
#include "hub/registry/registry_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define PARTS_BITS 6
#define PARTS (1 << PARTS_BITS)
#define CAP_MIN 8
#define NAME_MAX_LEN (2 * IDENTITY_ID_MAX + 1)

struct part {
	pthread_rwlock_t lock;
	struct registry_pack **packs; /* cap of them, NULL: free */
	uint32_t *hashes;
	size_t cap, n; /* cap is a power of two */
};

struct registry_table {
	struct part parts[PARTS];
	atomic_size_t n_devices, n_enabled;
};

/* A name with its hash, on the stack of who asks. */
struct wanted {
	char name[NAME_MAX_LEN];
	size_t len;
	uint64_t hash;
};

static struct part *
part_of(struct registry_table *table, uint64_t hash)
{
	return &table->parts[hash >> (64 - PARTS_BITS)];
}

/* false: no record can have this name. */
static bool
wanted_make(struct wanted *wanted, const char *device_id, const char *module_id)
{
	size_t device_len = strlen(device_id), module_len = module_id ? strlen(module_id) : 0;

	if (device_len > IDENTITY_ID_MAX || module_len > IDENTITY_ID_MAX || strchr(device_id, '/'))
		return false;
	memcpy(wanted->name, device_id, device_len);
	wanted->len = device_len;
	if (module_id) {
		wanted->name[wanted->len++] = '/';
		memcpy(wanted->name + wanted->len, module_id, module_len);
		wanted->len += module_len;
	}
	wanted->hash = map_hash(wanted->name, wanted->len);
	return true;
}

/* -- One part: the caller holds its lock -------------------------------------------------------------------------------------------- */

/* Where the name is, or where it would stand; the part has a free place. */
static size_t
place(const struct part *part, uint32_t hash, const char *name, size_t len)
{
	size_t at = hash & (part->cap - 1);

	for (; part->packs[at]; at = (at + 1) & (part->cap - 1)) {
		struct slice here = registry_pack_name(part->packs[at]);

		if (part->hashes[at] == hash && here.len == len && memcmp(here.text, name, len) == 0)
			break;
	}
	return at;
}

static void
grow(struct part *part)
{
	struct part old = *part;
	size_t to;

	part->cap = old.cap > 0 ? old.cap * 2 : CAP_MIN;
	part->packs = mem_array(part->cap, sizeof(struct registry_pack *));
	part->hashes = mem_array(part->cap, sizeof(uint32_t));
	for (size_t i = 0; i < old.cap; i++) {
		if (!old.packs[i])
			continue;
		for (to = old.hashes[i] & (part->cap - 1); part->packs[to]; to = (to + 1) & (part->cap - 1))
			;
		part->packs[to] = old.packs[i];
		part->hashes[to] = old.hashes[i];
	}
	mem_free(old.packs);
	mem_free(old.hashes);
}

/* Close the gap, so that no search ends at it too early: each record behind it moves up unless it would stand before its own place. */
static void
close_gap(struct part *part, size_t gap)
{
	size_t mask = part->cap - 1;

	for (size_t at = (gap + 1) & mask; part->packs[at]; at = (at + 1) & mask) {
		size_t home = part->hashes[at] & mask;

		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		part->packs[gap] = part->packs[at];
		part->hashes[gap] = part->hashes[at];
		gap = at;
	}
	part->packs[gap] = NULL;
}

/* -- The table ------------------------------------------------------------------------------------------------------------------------- */

struct registry_table *
registry_table_new(void)
{
	struct registry_table *table = NEW(registry_table);

	for (size_t i = 0; i < PARTS; i++)
		pthread_rwlock_init(&table->parts[i].lock, NULL);
	return table;
}

void
registry_table_free(struct registry_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < PARTS; i++) {
		struct part *part = &table->parts[i];

		for (size_t at = 0; at < part->cap; at++)
			registry_pack_free(part->packs[at]);
		mem_free(part->packs);
		mem_free(part->hashes);
		pthread_rwlock_destroy(&part->lock);
	}
	mem_free(table);
}

struct identity *
registry_table_find(struct registry_table *table, const char *device_id, const char *module_id)
{
	struct identity *found = NULL;
	struct wanted wanted;
	struct part *part;
	size_t at;

	if (!wanted_make(&wanted, device_id, module_id))
		return NULL;
	part = part_of(table, wanted.hash);
	pthread_rwlock_rdlock(&part->lock);
	if (part->n > 0) {
		at = place(part, (uint32_t)wanted.hash, wanted.name, wanted.len);
		if (part->packs[at])
			found = registry_pack_identity(part->packs[at]);
	}
	pthread_rwlock_unlock(&part->lock);
	return found;
}

static void
count(struct registry_table *table, const struct registry_pack *pack, bool more)
{
	size_t by = more ? 1 : (size_t)-1;

	if (!pack || registry_pack_is_module(pack))
		return;
	atomic_fetch_add(&table->n_devices, by);
	if (registry_pack_is_enabled(pack))
		atomic_fetch_add(&table->n_enabled, by);
}

struct registry_pack *
registry_table_put(struct registry_table *table, struct registry_pack *pack_take)
{
	struct slice name = registry_pack_name(pack_take);
	uint64_t hash = map_hash(name.text, name.len);
	struct part *part = part_of(table, hash);
	struct registry_pack *before;
	size_t at;

	pthread_rwlock_wrlock(&part->lock);
	if (4 * (part->n + 1) > 3 * part->cap)
		grow(part);
	at = place(part, (uint32_t)hash, name.text, name.len);
	before = part->packs[at];
	part->packs[at] = pack_take;
	part->hashes[at] = (uint32_t)hash;
	part->n += before ? 0 : 1;
	pthread_rwlock_unlock(&part->lock);
	count(table, before, false);
	count(table, pack_take, true);
	return before;
}

struct registry_pack *
registry_table_remove(struct registry_table *table, const char *device_id, const char *module_id)
{
	struct registry_pack *before = NULL;
	struct wanted wanted;
	struct part *part;
	size_t at;

	if (!wanted_make(&wanted, device_id, module_id))
		return NULL;
	part = part_of(table, wanted.hash);
	pthread_rwlock_wrlock(&part->lock);
	if (part->n > 0) {
		at = place(part, (uint32_t)wanted.hash, wanted.name, wanted.len);
		before = part->packs[at];
		if (before) {
			close_gap(part, at);
			part->n--;
		}
	}
	pthread_rwlock_unlock(&part->lock);
	count(table, before, false);
	return before;
}

void
registry_table_count(struct registry_table *table, size_t *n_devices, size_t *n_enabled)
{
	*n_devices = atomic_load(&table->n_devices);
	*n_enabled = atomic_load(&table->n_enabled);
}

/* Those of a part; `each` runs without its lock. */
static void
part_each(struct part *part, void (*each)(void *arg, const struct identity *identity), void *arg)
{
	struct identity **found;
	size_t n = 0;

	pthread_rwlock_rdlock(&part->lock);
	found = mem_array(part->n + 1, sizeof(struct identity *));
	for (size_t i = 0; i < part->cap; i++)
		if (part->packs[i])
			found[n++] = registry_pack_identity(part->packs[i]);
	pthread_rwlock_unlock(&part->lock);
	for (size_t i = 0; i < n; i++) {
		each(arg, found[i]);
		identity_free(found[i]);
	}
	mem_free(found);
}

void
registry_table_each(struct registry_table *table, void (*each)(void *arg, const struct identity *identity), void *arg)
{
	for (size_t i = 0; i < PARTS; i++)
		part_each(&table->parts[i], each, arg);
}
