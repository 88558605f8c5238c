/* SPDX-License-Identifier: Apache-2.0 */
/* How lines are carried. */
#include "gateway/gauges/carriage.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"

static struct {
	pthread_mutex_t lock;
	struct carriage told; /* but for the numbers */
	int64_t since_ms;     /* boot clock */
	atomic_size_t lines[CARRIAGE_LINES];
} noted = { .lock = PTHREAD_MUTEX_INITIALIZER };

const char *
carriage_state_name(enum carriage_state state)
{
	static const char *const names[CARRIAGE_STATES] = {
		[CARRIAGE_NOT_TRIED] = "not_tried",
		[CARRIAGE_CARRIED] = "carried",
		[CARRIAGE_NOT_OFFERED] = "not_offered",
		[CARRIAGE_REFUSED] = "refused",
		[CARRIAGE_NOT_REACHED] = "not_reached",
		[CARRIAGE_PROXY] = "proxy",
	};

	return names[state];
}

void
carriage_note(enum carriage_state state, const char *why)
{
	pthread_mutex_lock(&noted.lock);
	if (noted.told.state != state) {
		noted.told.state = state;
		noted.told.since = clock_wall();
		noted.since_ms = clock_boot_ms();
	}
	snprintf(noted.told.why, sizeof(noted.told.why), "%s", why ? why : "");
	pthread_mutex_unlock(&noted.lock);
}

void
carriage_count(enum carriage_line before, enum carriage_line now)
{
	atomic_fetch_sub_explicit(&noted.lines[before], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&noted.lines[now], 1, memory_order_relaxed);
}

struct carriage
carriage(void)
{
	struct carriage out;

	pthread_mutex_lock(&noted.lock);
	out = noted.told;
	out.for_ms = out.state == CARRIAGE_NOT_TRIED ? 0 : clock_boot_ms() - noted.since_ms;
	pthread_mutex_unlock(&noted.lock);
	out.n_carried = atomic_load_explicit(&noted.lines[CARRIAGE_LINE_CARRIED], memory_order_relaxed);
	out.n_alone = atomic_load_explicit(&noted.lines[CARRIAGE_LINE_ALONE], memory_order_relaxed);
	return out;
}
