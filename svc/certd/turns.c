/* SPDX-License-Identifier: Apache-2.0 */
/* An id has an entry as long as somebody has its turn or waits for it. */
#include <pthread.h>

#include "base/map.h"
#include "base/mem.h"
#include "certd/turns.h"

struct turn {
	char *id;
	struct csr *made;
	bool taken;
	size_t n_waiting;
	pthread_cond_t given;
};

struct turns {
	struct map *by_id;
	pthread_mutex_t lock;
};

struct turns *
turns_new(void)
{
	struct turns *t = NEW(turns);

	t->by_id = map_new();
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void
turns_free(struct turns *t)
{
	if (!t)
		return;
	map_free(t->by_id);
	pthread_mutex_destroy(&t->lock);
	mem_free(t);
}

static struct turn *
get(struct turns *t, const char *id)
{
	struct turn *turn = map_find_text(t->by_id, id);

	if (turn)
		return turn;
	turn = NEW(turn);
	turn->id = mem_text(id);
	pthread_cond_init(&turn->given, NULL);
	map_put_text(t->by_id, id, turn);
	return turn;
}

static void
turn_free(struct turn *turn)
{
	csr_free(turn->made);
	pthread_cond_destroy(&turn->given);
	mem_free(turn->id);
	mem_free(turn);
}

struct turn *
turns_take(struct turns *t, const char *id)
{
	struct turn *turn;

	pthread_mutex_lock(&t->lock);
	turn = get(t, id);
	turn->n_waiting++;
	while (turn->taken)
		pthread_cond_wait(&turn->given, &t->lock);
	turn->n_waiting--;
	turn->taken = true;
	pthread_mutex_unlock(&t->lock);
	return turn;
}

void
turns_give(struct turns *t, struct turn *turn)
{
	bool last;

	pthread_mutex_lock(&t->lock);
	turn->taken = false;
	last = turn->n_waiting == 0;
	if (last)
		map_remove_text(t->by_id, turn->id);
	else
		pthread_cond_signal(&turn->given);
	pthread_mutex_unlock(&t->lock);
	if (last)
		turn_free(turn);
}

bool
turn_was_made(const struct turn *turn, const struct csr *csr)
{
	return turn->made && csr_wishes_same(turn->made, csr);
}

void
turn_made(struct turn *turn, struct csr *csr)
{
	csr_free(turn->made);
	turn->made = csr;
}

size_t
turns_waiting(struct turns *t, const char *id)
{
	const struct turn *turn;
	size_t n;

	pthread_mutex_lock(&t->lock);
	turn = map_find_text(t->by_id, id);
	n = turn ? turn->n_waiting : 0;
	pthread_mutex_unlock(&t->lock);
	return n;
}
