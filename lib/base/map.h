/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A hash map from text or bytes to a pointer.  Keys are copied, values are borrowed: who puts them in takes them out.  The hash
 * is keyed per process (SipHash), so a peer that chooses ids cannot choose collisions.  Not locked. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map;

struct map *map_new(void);
/* The same, but keys are not copied: each is part of its value, and must stay as it is while that is in the map. */
struct map *map_new_keys_in_values(void);
void map_free(struct map *map); /* values are left alone */

void *map_find(const struct map *map, const void *key, size_t len);
void *map_find_text(const struct map *map, const char *key);
void *map_put(struct map *map, const void *key, size_t len, void *value); /* the value that was there before, or NULL */
void *map_put_text(struct map *map, const char *key, void *value);
void *map_remove(struct map *map, const void *key, size_t len); /* the value, or NULL */
void *map_remove_text(struct map *map, const char *key);
size_t map_count(const struct map *map);

/* Walk over all entries: start with *at = 0; false at the end.  Entries may be replaced, but not added, on the way. */
bool map_next(const struct map *map, size_t *at, const void **key, size_t *len, void **value);

uint64_t map_hash(const void *key, size_t len); /* the keyed hash itself, for choosing a shard */
