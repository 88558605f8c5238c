/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing; removal moves what follows back, so there are no tombstones.  The hash is SipHash-2-4 under a key
 * drawn once per process. */
#include <assert.h>
#include <endian.h>
#include <pthread.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"

#define GOLDEN 0x9e3779b1u /* odd, so that nothing of a hash is lost */

struct slot {
	const uint8_t *key; /* NULL: free */
	void *value;
	uint32_t len, hash; /* the lower half is enough to find a place by */
};

struct map {
	struct slot *slots;
	size_t n_slots;
	size_t count;
	bool keys_in_values;
};

static uint64_t sip_key[2];
static pthread_once_t sip_once = PTHREAD_ONCE_INIT;

static void
draw_sip_key(void)
{
	random_bytes(sip_key, sizeof(sip_key));
}

static inline uint64_t
rotate(uint64_t v, int by)
{
	return v << by | v >> (64 - by);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

uint64_t
map_hash(const void *key, size_t len)
{
	const uint8_t *at = key;
	uint64_t v[4], word = (uint64_t)len << 56;
	size_t whole = len / 8 * 8;

	pthread_once(&sip_once, draw_sip_key);
	v[0] = sip_key[0] ^ 0x736f6d6570736575;
	v[1] = sip_key[1] ^ 0x646f72616e646f6d;
	v[2] = sip_key[0] ^ 0x6c7967656e657261;
	v[3] = sip_key[1] ^ 0x7465646279746573;
	for (size_t i = 0; i < whole; i += 8) {
		uint64_t m;

		memcpy(&m, at + i, 8);
		m = le64toh(m);
		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t i = whole; i < len; i++)
		word |= (uint64_t)at[i] << (8 * (i - whole));
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *
map_new(void)
{
	return NEW(map);
}

struct map *
map_new_keys_in_values(void)
{
	struct map *map = NEW(map);

	map->keys_in_values = true;
	return map;
}

static void
free_key(const struct map *map, const struct slot *slot)
{
	if (!map->keys_in_values)
		mem_free((void *)(uintptr_t)slot->key);
}

void
map_free(struct map *map)
{
	if (!map)
		return;
	for (size_t i = 0; i < map->n_slots; i++)
		free_key(map, &map->slots[i]);
	mem_free(map->slots);
	mem_free(map);
}

/* Where the search for it begins: the hash as a share of the whole, which takes no power of two, whose steps are large.  Stirred by the size, so that the order of one map's slots is not that of
 * another's: who puts all of a large one into one that grows would else fill that from its beginning, and each search would pass what is there. */
static size_t
home_of(const struct map *map, uint32_t hash)
{
	uint32_t stirred = hash * (GOLDEN * ((uint32_t)map->n_slots | 1));

	return (size_t)((uint64_t)stirred * map->n_slots >> 32);
}

static size_t
after(const struct map *map, size_t i)
{
	return i + 1 < map->n_slots ? i + 1 : 0;
}

static size_t
distance(const struct map *map, size_t from, size_t to)
{
	return to >= from ? to - from : to + map->n_slots - from;
}

/* The slot that holds the key, or the free one where it would go. */
static struct slot *
locate(const struct map *map, const void *key, size_t len, uint32_t hash)
{
	for (size_t i = home_of(map, hash);; i = after(map, i)) {
		struct slot *slot = &map->slots[i];

		if (!slot->key)
			return slot;
		if (slot->hash == hash && slot->len == len && (len == 0 || memcmp(slot->key, key, len) == 0))
			return slot;
	}
}

static void
grow(struct map *map)
{
	struct map old = *map;

	map->n_slots = old.n_slots ? old.n_slots + old.n_slots / 2 : 16;
	map->slots = mem_array(map->n_slots, sizeof(*map->slots));
	for (size_t i = 0; i < old.n_slots; i++)
		if (old.slots[i].key)
			*locate(map, old.slots[i].key, old.slots[i].len, old.slots[i].hash) = old.slots[i];
	mem_free(old.slots);
}

void *
map_find(const struct map *map, const void *key, size_t len)
{
	if (map->count == 0)
		return NULL;
	return locate(map, key, len, (uint32_t)map_hash(key, len))->value;
}

void *
map_find_text(const struct map *map, const char *key)
{
	return map_find(map, key, strlen(key));
}

void *
map_put(struct map *map, const void *key, size_t len, void *value)
{
	uint32_t hash = (uint32_t)map_hash(key, len);
	struct slot *slot = map->count > 0 ? locate(map, key, len, hash) : NULL;

	if (slot && slot->key) { /* before growing: replacing must not disturb a walk */
		void *before = slot->value;

		if (map->keys_in_values)
			slot->key = key;
		slot->value = value;
		return before;
	}
	if ((map->count + 1) * 4 > map->n_slots * 3)
		grow(map);
	assert(len <= UINT32_MAX && map->n_slots <= UINT32_MAX);
	*locate(map, key, len, hash) = (struct slot){
		.key = map->keys_in_values ? key : mem_dup(key, len),
		.value = value,
		.len = (uint32_t)len,
		.hash = hash,
	};
	map->count++;
	return NULL;
}

void *
map_put_text(struct map *map, const char *key, void *value)
{
	return map_put(map, key, strlen(key), value);
}

/* Close the hole at `hole`: whatever follows and could not be reached over it moves back. */
static void
close_hole(struct map *map, size_t hole)
{
	for (size_t i = after(map, hole); map->slots[i].key; i = after(map, i)) {
		if (distance(map, home_of(map, map->slots[i].hash), i) < distance(map, hole, i))
			continue;
		map->slots[hole] = map->slots[i];
		map->slots[i] = (struct slot){ 0 };
		hole = i;
	}
}

void *
map_remove(struct map *map, const void *key, size_t len)
{
	struct slot *slot;
	void *value;

	if (map->count == 0)
		return NULL;
	slot = locate(map, key, len, (uint32_t)map_hash(key, len));
	if (!slot->key)
		return NULL;
	value = slot->value;
	free_key(map, slot);
	*slot = (struct slot){ 0 };
	map->count--;
	close_hole(map, (size_t)(slot - map->slots));
	return value;
}

void *
map_remove_text(struct map *map, const char *key)
{
	return map_remove(map, key, strlen(key));
}

size_t
map_count(const struct map *map)
{
	return map->count;
}

bool
map_next(const struct map *map, size_t *at, const void **key, size_t *len, void **value)
{
	for (; *at < map->n_slots; ++*at) {
		const struct slot *slot = &map->slots[*at];

		if (!slot->key)
			continue;
		if (key)
			*key = slot->key;
		if (len)
			*len = slot->len;
		if (value)
			*value = slot->value;
		++*at;
		return true;
	}
	return false;
}
