/* SPDX-License-Identifier: Apache-2.0 */
/* Lately decided. */
#include "gateway/local/decisions.h"

#include <pthread.h>
#include <string.h>

#include "base/bucket.h"
#include "base/map.h"
#include "base/mem.h"

static const struct bucket_limit lines = { .cost_us = 5000000, .burst = 60 };
static const struct bucket_limit lines_together = { .cost_us = 100000, .burst = 200 }; /* of all strangers, and of broken rules */

struct entry {
	struct decision last;
	struct bucket lines[2]; /* refused, let in: who tries another's name does not silence it */
	struct bucket ends;
	struct entry *next; /* that came after it */
	uint32_t n_left_out;
	char name[]; /* the key in the map */
};

struct shelf {
	struct map *by_name;
	struct entry *oldest, **newest;
	size_t most;
};

struct decisions {
	struct shelf known, strangers;
	struct bucket all_strangers, violations;
	uint64_t n_strangers_left_out, n_violations_left_out;
	pthread_mutex_t lock;
};

/* -- Shelves ------------------------------------------------------------------------------------------------------------------------------- */

static void
shelf_init(struct shelf *s, size_t most)
{
	*s = (struct shelf){ .by_name = map_new_keys_in_values(), .most = most };
	s->newest = &s->oldest;
}

static void
forget_oldest(struct shelf *s)
{
	struct entry *e = s->oldest;

	s->oldest = e->next;
	if (!s->oldest)
		s->newest = &s->oldest;
	map_remove_text(s->by_name, e->name);
	mem_free(e->last.detail);
	mem_free(e);
}

static void
shelf_clear(struct shelf *s)
{
	while (s->oldest)
		forget_oldest(s);
	map_free(s->by_name);
}

static struct entry *
shelf_get(struct shelf *s, const char *name)
{
	struct entry *e = map_find_text(s->by_name, name);
	size_t size = strlen(name) + 1;

	if (e)
		return e;
	if (map_count(s->by_name) >= s->most)
		forget_oldest(s);
	e = mem_new(offsetof(struct entry, name) + size);
	memcpy(e->name, name, size);
	*s->newest = e;
	s->newest = &e->next;
	map_put_text(s->by_name, e->name, e);
	return e;
}

/* -- All --------------------------------------------------------------------------------------------------------------------------------- */

struct decisions *
decisions_new(size_t max_known, size_t max_strangers)
{
	struct decisions *d = NEW(decisions);

	shelf_init(&d->known, max_known);
	shelf_init(&d->strangers, max_strangers);
	pthread_mutex_init(&d->lock, NULL);
	return d;
}

void
decisions_free(struct decisions *d)
{
	if (!d)
		return;
	shelf_clear(&d->known);
	shelf_clear(&d->strangers);
	pthread_mutex_destroy(&d->lock);
	mem_free(d);
}

static void
take_over(struct entry *e, const struct decision *now)
{
	struct decision before = e->last;

	e->last = *now;
	e->last.n_accepted = before.n_accepted + (now->cause == OK);
	e->last.n_refused = before.n_refused + (now->cause != OK);
	e->last.ended = before.ended;
	e->last.ended_wall = before.ended_wall;
	e->last.detail = mem_text(now->detail);
	mem_free(before.detail);
}

bool
decisions_note(struct decisions *d, const char *name, bool is_known, const struct decision *now, int64_t now_ms, uint64_t *left_out)
{
	struct entry *e;
	bool good;

	pthread_mutex_lock(&d->lock);
	e = shelf_get(is_known ? &d->known : &d->strangers, name);
	take_over(e, now);
	good = bucket_take(&e->lines[now->cause == OK], &lines, now_ms) == 0 &&
	       (is_known || bucket_take(&d->all_strangers, &lines_together, now_ms) == 0);
	*left_out = is_known ? e->n_left_out : d->n_strangers_left_out;
	if (is_known)
		e->n_left_out = good ? 0 : e->n_left_out + 1;
	else
		d->n_strangers_left_out = good ? 0 : d->n_strangers_left_out + 1;
	pthread_mutex_unlock(&d->lock);
	return good;
}

static struct entry *
find(struct decisions *d, const char *name)
{
	struct entry *e = map_find_text(d->known.by_name, name);

	return e ? e : map_find_text(d->strangers.by_name, name);
}

bool
decisions_note_end(struct decisions *d, const char *name, enum reason why, int64_t wall, int64_t now_ms, uint64_t *left_out)
{
	struct entry *e;
	bool good;

	pthread_mutex_lock(&d->lock);
	e = find(d, name);
	if (e) {
		e->last.ended = why;
		e->last.ended_wall = wall;
	}
	good = (!e || bucket_take(&e->ends, &lines, now_ms) == 0) && bucket_take(&d->violations, &lines_together, now_ms) == 0;
	*left_out = d->n_violations_left_out;
	d->n_violations_left_out = good ? 0 : d->n_violations_left_out + 1;
	pthread_mutex_unlock(&d->lock);
	return good;
}

bool
decisions_find(struct decisions *d, const char *name, struct decision *out)
{
	const struct entry *e;

	pthread_mutex_lock(&d->lock);
	e = find(d, name);
	if (e) {
		*out = e->last;
		out->detail = NULL;
	}
	pthread_mutex_unlock(&d->lock);
	return e != NULL;
}

char *
decisions_detail(struct decisions *d, const char *name)
{
	const struct entry *e;
	char *detail;

	pthread_mutex_lock(&d->lock);
	e = find(d, name);
	detail = mem_text(e ? e->last.detail : NULL);
	pthread_mutex_unlock(&d->lock);
	return detail;
}
