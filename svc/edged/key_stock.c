/* SPDX-License-Identifier: Apache-2.0 */
/* Keys made ahead (key_stock.h): a shelf a kind, one thread that fills the emptiest. */
#include "edged/key_stock.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define SHELF 4
#define WAITING_MAX 2 /* of the workers, who also serve others */
#define WAIT_MS 5000
#define LOW_PRIORITY 10

struct shelf {
	struct key *key[SHELF];
	size_t n, n_waiting;
	bool is_wanted;
};

struct key_stock {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct shelf shelves[KEY_ALGS];
	pthread_t thread;
	bool has_thread, is_ending;
};

static bool
is_slow(enum key_alg alg)
{
	return alg == KEY_RSA_2048 || alg == KEY_RSA_3072 || alg == KEY_RSA_4096;
}

/* -- Filling ------------------------------------------------------------------------------------------------------------------------------- */

/* Which kind is next; KEY_ALGS: none.  Those that somebody waits for come first, then the emptiest. */
static int
find_emptiest(const struct key_stock *stock)
{
	int found = KEY_ALGS;

	for (int i = 0; i < KEY_ALGS; i++) {
		const struct shelf *s = &stock->shelves[i], *best = found < KEY_ALGS ? &stock->shelves[found] : NULL;

		if (s->is_wanted && s->n < SHELF && (!best || s->n < best->n || (s->n_waiting > 0 && best->n_waiting == 0)))
			found = i;
	}
	return found;
}

static struct key *
make(int alg)
{
	struct err err = ERR_INIT;
	struct key *key = key_generate((enum key_alg)alg, &err);

	if (!key)
		log_error("no key could be made: %s", err.text);
	return key;
}

static void *
fill(void *arg)
{
	struct key_stock *stock = arg;

	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), LOW_PRIORITY);
	pthread_mutex_lock(&stock->lock);
	while (!stock->is_ending) {
		int alg = find_emptiest(stock);
		struct key *key;

		if (alg == KEY_ALGS) {
			pthread_cond_wait(&stock->changed, &stock->lock);
			continue;
		}
		pthread_mutex_unlock(&stock->lock);
		key = make(alg);
		pthread_mutex_lock(&stock->lock);
		if (!key)
			stock->shelves[alg].is_wanted = false; /* until somebody wants one again */
		else
			stock->shelves[alg].key[stock->shelves[alg].n++] = key;
		pthread_cond_broadcast(&stock->changed);
	}
	pthread_mutex_unlock(&stock->lock);
	return NULL;
}

/* -- Taking -------------------------------------------------------------------------------------------------------------------------------- */

/* With the lock. */
static void
expect(struct key_stock *stock, enum key_alg alg)
{
	stock->shelves[alg].is_wanted = true;
	if (!stock->has_thread)
		stock->has_thread = pthread_create(&stock->thread, NULL, fill, stock) == 0;
	pthread_cond_broadcast(&stock->changed);
}

void
key_stock_expect(struct key_stock *stock, enum key_alg alg)
{
	if (!is_slow(alg))
		return;
	pthread_mutex_lock(&stock->lock);
	expect(stock, alg);
	pthread_mutex_unlock(&stock->lock);
}

/* With the lock; false: it took too long. */
static bool
wait_for_one(struct key_stock *stock, struct shelf *shelf)
{
	struct timespec until;
	int status = 0;

	clock_until(WAIT_MS, &until);
	shelf->n_waiting++;
	while (shelf->n == 0 && shelf->is_wanted && status == 0)
		status = pthread_cond_timedwait(&stock->changed, &stock->lock, &until);
	shelf->n_waiting--;
	return shelf->n > 0;
}

static struct key *
take_slow(struct key_stock *stock, enum key_alg alg, struct err *err)
{
	struct shelf *shelf = &stock->shelves[alg];
	struct key *key = NULL;

	pthread_mutex_lock(&stock->lock);
	expect(stock, alg);
	if (shelf->n > 0 || (shelf->n_waiting < WAITING_MAX && wait_for_one(stock, shelf)))
		key = shelf->key[--shelf->n];
	pthread_cond_broadcast(&stock->changed);
	pthread_mutex_unlock(&stock->lock);
	return key ? key
		   : err_null(err, ERR_UNAVAILABLE, "all %s keys are used up, more are being made; try again", key_alg_name(alg));
}

struct key *
key_stock_take(struct key_stock *stock, enum key_alg alg, struct err *err)
{
	return is_slow(alg) ? take_slow(stock, alg, err) : key_generate(alg, err);
}

/* -- The beginning and the end ---------------------------------------------------------------------------------------------------------------- */

struct key_stock *
key_stock_new(void)
{
	struct key_stock *stock = NEW(key_stock);
	pthread_condattr_t attributes;

	pthread_mutex_init(&stock->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&stock->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	return stock;
}

void
key_stock_free(struct key_stock *stock)
{
	if (!stock)
		return;
	pthread_mutex_lock(&stock->lock);
	stock->is_ending = true;
	pthread_cond_broadcast(&stock->changed);
	pthread_mutex_unlock(&stock->lock);
	if (stock->has_thread)
		pthread_join(stock->thread, NULL);
	for (int i = 0; i < KEY_ALGS; i++)
		while (stock->shelves[i].n > 0)
			key_free(stock->shelves[i].key[--stock->shelves[i].n]);
	pthread_cond_destroy(&stock->changed);
	pthread_mutex_destroy(&stock->lock);
	mem_free(stock);
}
