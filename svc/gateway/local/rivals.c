/* SPDX-License-Identifier: Apache-2.0 */
/* Rivals for an id. */
#include "gateway/local/rivals.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define FIGHT_AT 6     /* so often */
#define FIGHT_MS 30000 /* within this time */
#define WAIT_MIN_MS 5000
#define WAIT_MAX_MS (5 * 60 * 1000)
#define FORGOTTEN_MS (15 * 60 * 1000)

struct entry {
	int64_t since_ms, last_ms, until_ms, wait_ms; /* since: of the first that is counted; wait: the last one */
	int n;
	char name[]; /* the key in the map */
};

struct rivals {
	struct map *by_name;
	size_t most;
	pthread_mutex_t lock;
};

struct rivals *
rivals_new(size_t most)
{
	struct rivals *r = NEW(rivals);

	r->by_name = map_new_keys_in_values();
	r->most = most;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void
rivals_free(struct rivals *r)
{
	size_t at = 0;
	void *entry;

	if (!r)
		return;
	while (map_next(r->by_name, &at, NULL, NULL, &entry))
		mem_free(entry);
	map_free(r->by_name);
	pthread_mutex_destroy(&r->lock);
	mem_free(r);
}

/* Makes place: those that have been quiet go; when none has, whoever comes first. */
static void
forget_some(struct rivals *r, int64_t now_ms)
{
	struct map *kept = map_new_keys_in_values();
	size_t at = 0, n = map_count(r->by_name);
	struct entry *any = NULL;
	void *value;

	while (map_next(r->by_name, &at, NULL, NULL, &value)) {
		struct entry *e = value;

		if (now_ms - e->last_ms >= FORGOTTEN_MS) {
			mem_free(e);
			continue;
		}
		map_put_text(kept, e->name, e);
		any = e;
	}
	if (any && map_count(kept) == n) {
		map_remove_text(kept, any->name);
		mem_free(any);
	}
	map_free(r->by_name);
	r->by_name = kept;
}

static struct entry *
entry_get(struct rivals *r, const char *name, int64_t now_ms)
{
	struct entry *e = map_find_text(r->by_name, name);
	size_t size = strlen(name) + 1;

	if (e)
		return e;
	if (map_count(r->by_name) >= r->most)
		forget_some(r, now_ms);
	e = mem_new(sizeof(*e) + size);
	memcpy(e->name, name, size);
	e->since_ms = e->last_ms = now_ms;
	map_put_text(r->by_name, e->name, e);
	return e;
}

static void
begin_wait(struct entry *e, int64_t now_ms)
{
	e->wait_ms = e->wait_ms ? 2 * e->wait_ms : WAIT_MIN_MS;
	e->wait_ms = e->wait_ms < WAIT_MAX_MS ? e->wait_ms : WAIT_MAX_MS;
	e->until_ms = now_ms + e->wait_ms;
	e->n = 0;
}

/* Who has fought before is at it again with the second. */
static void
count(struct entry *e, int64_t now_ms)
{
	if (now_ms - e->last_ms >= FORGOTTEN_MS)
		e->wait_ms = 0;
	if (e->n == 0 || now_ms - e->since_ms > FIGHT_MS) {
		e->since_ms = now_ms;
		e->n = 0;
	}
	e->last_ms = now_ms;
	e->n++;
	if (e->n >= (e->wait_ms ? 2 : FIGHT_AT))
		begin_wait(e, now_ms);
}

void
rivals_taken_over(struct rivals *r, const char *name, int64_t now_ms)
{
	pthread_mutex_lock(&r->lock);
	count(entry_get(r, name, now_ms), now_ms);
	pthread_mutex_unlock(&r->lock);
}

int64_t
rivals_wait_ms(struct rivals *r, const char *name, int64_t now_ms)
{
	const struct entry *e;
	int64_t wait;

	pthread_mutex_lock(&r->lock);
	e = map_find_text(r->by_name, name);
	wait = e && e->until_ms > now_ms ? e->until_ms - now_ms : 0;
	pthread_mutex_unlock(&r->lock);
	return wait;
}
