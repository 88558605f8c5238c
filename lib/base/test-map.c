/* SPDX-License-Identifier: Apache-2.0 */
/* The source is included because the key of the hash, private and different in each process, must be set to try the published vectors. */
#include "map.c"

#include "t.h"

TEST("what was put is found, by the bytes of its key")
{
	struct map *map = map_new();
	char key[] = "abc";
	int value = 1;

	CHECK(map_find_text(map, "abc") == NULL);
	CHECK(map_put_text(map, key, &value) == NULL);
	key[0] = 'x'; /* the key was copied */
	CHECK(map_find_text(map, "abc") == &value);
	CHECK(map_find(map, "abc", 3) == &value);
	CHECK(map_find(map, "abc", 2) == NULL);
	CHECK(map_find(map, "abc", 4) == NULL);
	CHECK_INT(map_count(map), 1);
	map_free(map);
	map_free(NULL);
}

struct named {
	char name[8];
};

TEST("a key that is part of its value is that of the newest value, also when the one before is gone")
{
	struct map *map = map_new_keys_in_values();
	struct named first = { "a" }, second = { "a" };

	map_put_text(map, first.name, &first);
	CHECK(map_put_text(map, second.name, &second) == &first);
	memset(&first, 'x', sizeof(first));
	CHECK(map_find_text(map, "a") == &second);
	CHECK(map_remove_text(map, "a") == &second);
	CHECK(map_find_text(map, "a") == NULL);
	map_free(map);
}

TEST("the empty key and keys with zeros are keys like others")
{
	struct map *map = map_new();
	int a, b, c;

	map_put(map, NULL, 0, &a);
	map_put(map, "\0", 1, &b);
	map_put(map, "\0\0", 2, &c);
	CHECK(map_find_text(map, "") == &a);
	CHECK(map_find(map, "\0", 1) == &b);
	CHECK(map_find(map, "\0\0", 2) == &c);
	CHECK_INT(map_count(map), 3);
	map_free(map);
}

TEST("putting again returns the value from before and adds nothing")
{
	struct map *map = map_new();
	int a, b;

	map_put_text(map, "k", &a);
	CHECK(map_put_text(map, "k", &b) == &a);
	CHECK(map_find_text(map, "k") == &b);
	CHECK_INT(map_count(map), 1);
	map_free(map);
}

TEST("removing returns the value once")
{
	struct map *map = map_new();
	int a;

	CHECK(map_remove_text(map, "k") == NULL);
	map_put_text(map, "k", &a);
	CHECK(map_remove_text(map, "k") == &a);
	CHECK(map_remove_text(map, "k") == NULL);
	CHECK(map_find_text(map, "k") == NULL);
	CHECK_INT(map_count(map), 0);
	map_free(map);
}

TEST("a map agrees with a plain array after ten thousand steps in and out")
{
	enum { N = 300 };
	struct map *map = map_new();
	void *model[N] = { NULL };
	uint32_t state = 1;
	size_t count = 0;

	for (int step = 0; step < 10000; step++) {
		uint32_t key, what;

		state = state * 1664525 + 1013904223;
		key = (state >> 8) % N;
		what = state >> 28;
		if (what < 8) {
			CHECK(map_put(map, &key, sizeof(key), &model[key]) == model[key]);
			model[key] = &model[key];
		} else {
			CHECK(map_remove(map, &key, sizeof(key)) == model[key]);
			model[key] = NULL;
		}
	}
	for (uint32_t key = 0; key < N; key++) {
		CHECK(map_find(map, &key, sizeof(key)) == model[key]);
		count += model[key] != NULL;
	}
	CHECK_INT(map_count(map), count);
	map_free(map);
}

TEST("a walk shows every entry once")
{
	struct map *map = map_new();
	int seen[100] = { 0 };
	const void *key;
	void *value;
	size_t at = 0, len;

	CHECK(!map_next(map, &at, NULL, NULL, NULL));
	for (int i = 0; i < 100; i++)
		map_put(map, &i, sizeof(i), &seen[i]);
	for (at = 0; map_next(map, &at, &key, &len, &value);) {
		int i;

		CHECK_INT(len, sizeof(i));
		memcpy(&i, key, sizeof(i));
		CHECK(value == &seen[i]);
		seen[i]++;
	}
	for (int i = 0; i < 100; i++)
		CHECK_INT(seen[i], 1);
	map_free(map);
}

TEST("replacing during a walk does not disturb it, not even where the next entry would make the map grow")
{
	for (int n = 1; n <= 50; n++) {
		struct map *map = map_new();
		int seen[50] = { 0 }, other, n_seen = 0;
		const void *key;
		size_t at = 0, len;
		void *value;

		for (int i = 0; i < n; i++)
			map_put(map, &i, sizeof(i), &seen[i]);
		while (map_next(map, &at, &key, &len, &value)) {
			CHECK(value != &other);
			map_put(map, key, len, &other);
			n_seen++;
		}
		CHECK_INT(n_seen, n);
		map_free(map);
	}
}

/* How far keys lie from where the search for them begins, all together. */
static size_t
distances(const struct map *map)
{
	size_t sum = 0;

	for (size_t i = 0; i < map->n_slots; i++)
		if (map->slots[i].key)
			sum += distance(map, home_of(map, map->slots[i].hash), i);
	return sum;
}

TEST("half of a large map, put into another in the order of its slots, does not pile up there")
{
	struct map *all = map_new(), *half = map_new();
	const void *key;
	size_t at = 0, len;
	uint32_t n;

	for (n = 0; n < 20000; n++)
		map_put(all, &n, sizeof(n), all);
	while (map_count(half) < map_count(all) / 2 && map_next(all, &at, &key, &len, NULL)) {
		map_put(half, key, len, half);
		if (map_count(half) % 1000 == 0)
			CHECK(distances(half) < 8 * map_count(half));
	}
	CHECK_INT(map_count(half), 10000);
	map_free(all);
	map_free(half);
}

TEST("the hash is SipHash-2-4: the vectors of its authors")
{
	static const struct {
		size_t len;
		uint64_t want;
	} rows[] = { { 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd }, { 7, 0xab0200f58b01d137 }, { 8, 0x93f5f5799a932462 },
		{ 15, 0xa129ca6149be45e5 }, { 63, 0x958a324ceb064572 } };
	uint64_t drawn[2];
	uint8_t in[64];

	map_hash("", 0); /* so that the key is drawn before it is replaced */
	memcpy(drawn, sip_key, sizeof(drawn));
	sip_key[0] = 0x0706050403020100;
	sip_key[1] = 0x0f0e0d0c0b0a0908;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (map_hash(in, rows[i].len) != rows[i].want)
			fail_msg("length %zu", rows[i].len);
	memcpy(sip_key, drawn, sizeof(drawn));
	CHECK(sip_key[0] != 0x0706050403020100);
}
