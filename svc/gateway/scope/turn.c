/* SPDX-License-Identifier: Apache-2.0 */
/* Turns: a flag and a condition, because a mutex can not be waited for until a time of the monotonic clock. */
#include "gateway/scope/turn.h"

#include <time.h>

#include "base/clock.h"

void
turn_init(struct turn *t)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&t->is_free, &monotonic);
	pthread_condattr_destroy(&monotonic);
	t->is_taken = false;
}

void
turn_destroy(struct turn *t)
{
	pthread_cond_destroy(&t->is_free);
	pthread_mutex_destroy(&t->lock);
}

static void
take(struct turn *t)
{
	t->is_taken = true;
	t->since_ms = clock_boot_ms();
}

void
turn_take(struct turn *t)
{
	pthread_mutex_lock(&t->lock);
	while (t->is_taken)
		pthread_cond_wait(&t->is_free, &t->lock);
	take(t);
	pthread_mutex_unlock(&t->lock);
}

bool
turn_take_within(struct turn *t, int64_t within_ms)
{
	bool mine;
	int64_t left_ms;

	pthread_mutex_lock(&t->lock);
	while (t->is_taken && (left_ms = t->since_ms + within_ms - clock_boot_ms()) > 0) {
		struct timespec until;

		clock_until(left_ms, &until);
		pthread_cond_timedwait(&t->is_free, &t->lock, &until);
	}
	mine = !t->is_taken;
	if (mine)
		take(t);
	pthread_mutex_unlock(&t->lock);
	return mine;
}

void
turn_end(struct turn *t)
{
	pthread_mutex_lock(&t->lock);
	t->is_taken = false;
	pthread_cond_signal(&t->is_free);
	pthread_mutex_unlock(&t->lock);
}
