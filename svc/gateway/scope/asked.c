/* SPDX-License-Identifier: Apache-2.0 */
/* Names with digests of their credentials, in two generations: when the younger one is old or full it becomes the older one, whose entries are forgotten. */
#include "gateway/scope/asked.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/map.h"
#include "base/mem.h"

#define ENTRIES_MAX 4096
#define KEY_LEN (2 * DIGEST_SHA256_LEN)

struct asked {
	pthread_mutex_t lock;
	struct map *young, *old;
	int64_t generation_ms, since_ms; /* boot clock */
};

struct asked *
asked_new(int64_t remember_ms)
{
	struct asked *a = NEW(asked);

	pthread_mutex_init(&a->lock, NULL);
	a->young = map_new();
	a->old = map_new();
	a->generation_ms = remember_ms;
	a->since_ms = clock_boot_ms();
	return a;
}

void
asked_free(struct asked *a)
{
	if (!a)
		return;
	map_free(a->young);
	map_free(a->old);
	pthread_mutex_destroy(&a->lock);
	mem_free(a);
}

static void
age(struct asked *a)
{
	int64_t now = clock_boot_ms();

	if (now - a->since_ms < a->generation_ms && map_count(a->young) < ENTRIES_MAX)
		return;
	map_free(a->old);
	a->old = now - a->since_ms < 2 * a->generation_ms ? a->young : map_new();
	if (a->old != a->young)
		map_free(a->young);
	a->young = map_new();
	a->since_ms = now;
}

static void
make_key(uint8_t key[static KEY_LEN], const char *name, const void *credential, size_t len)
{
	digest_sha256(name, strlen(name), key);
	digest_sha256(credential, len, key + DIGEST_SHA256_LEN);
}

static const void *
find(const struct asked *a, const uint8_t key[static KEY_LEN])
{
	const void *found = map_find(a->young, key, KEY_LEN);

	return found ? found : map_find(a->old, key, KEY_LEN);
}

/* Values in the maps. */
static char is_open, is_answered;

bool
asked_may(struct asked *a, const char *name, const void *credential, size_t len)
{
	uint8_t key[KEY_LEN];
	const void *noted;

	make_key(key, name, credential, len);
	pthread_mutex_lock(&a->lock);
	age(a);
	noted = find(a, key);
	if (!noted)
		map_put(a->young, key, sizeof(key), &is_open);
	pthread_mutex_unlock(&a->lock);
	return noted != &is_answered;
}

void
asked_close(struct asked *a, const char *name, const void *credential, size_t len, bool answered)
{
	uint8_t key[KEY_LEN];

	make_key(key, name, credential, len);
	pthread_mutex_lock(&a->lock);
	age(a);
	if (answered) {
		map_put(a->young, key, sizeof(key), &is_answered);
	} else {
		map_remove(a->young, key, sizeof(key));
		map_remove(a->old, key, sizeof(key));
	}
	pthread_mutex_unlock(&a->lock);
}

/* These stand among the others, with words in the place of a credential that none has. */
static const char elsewhere[] = "not below this gateway";

void
asked_note_elsewhere(struct asked *a, const char *name)
{
	asked_close(a, name, elsewhere, sizeof(elsewhere), true);
}

bool
asked_is_elsewhere(struct asked *a, const char *name)
{
	uint8_t key[KEY_LEN];
	bool noted = false;

	pthread_mutex_lock(&a->lock);
	age(a);
	if (map_count(a->young) + map_count(a->old) > 0) { /* mostly nobody was asked for lately */
		make_key(key, name, elsewhere, sizeof(elsewhere));
		noted = find(a, key) != NULL;
	}
	pthread_mutex_unlock(&a->lock);
	return noted;
}
