/* SPDX-License-Identifier: Apache-2.0 */
/* The hub, present or not. */
#include "gateway/local/hub_presence.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/local/gateway_metrics.h"

static struct {
	pthread_mutex_t lock;
	atomic_int reach; /* enum hub_reach; changed with the lock held */
	int64_t since_ms; /* boot clock */
	uint64_t n_times;
	char id[2 * 128 + 2];
	char why[HUB_WHY_MAX];
} hub = { .lock = PTHREAD_MUTEX_INITIALIZER };

void
hub_presence_begin(const char *id)
{
	pthread_mutex_lock(&hub.lock);
	snprintf(hub.id, sizeof(hub.id), "%s", id);
	pthread_mutex_unlock(&hub.lock);
}

static void
count(enum hub_reach before, enum hub_reach now, int64_t for_ms)
{
	if (now == HUB_AWAY)
		metric_add(gateway_metric(METRIC_OFFLINE_COUNT, hub.id), 1);
	else if (before == HUB_AWAY)
		metric_observe(gateway_metric(METRIC_OFFLINE_TIME, hub.id), for_ms);
}

static void
note(enum hub_reach now, const char *why)
{
	enum hub_reach before;
	int64_t for_ms;

	pthread_mutex_lock(&hub.lock);
	before = (enum hub_reach)hub.reach;
	snprintf(hub.why, sizeof(hub.why), "%s", why);
	if (before != now) {
		for_ms = clock_boot_ms() - hub.since_ms;
		hub.reach = (int)now;
		hub.since_ms = clock_boot_ms();
		hub.n_times += now == HUB_AWAY;
		count(before, now, for_ms);
	}
	pthread_mutex_unlock(&hub.lock);
}

/* Mostly it is as it was, which costs no lock: it is told for each message. */
static bool
is(enum hub_reach reach)
{
	return atomic_load_explicit(&hub.reach, memory_order_relaxed) == (int)reach;
}

void
hub_presence_reached(void)
{
	if (!is(HUB_REACHED))
		note(HUB_REACHED, "");
}

void
hub_presence_lost(void)
{
	if (!is(HUB_AWAY) && !is(HUB_REFUSES))
		note(HUB_AWAY, "");
}

void
hub_presence_away(void)
{
	if (!is(HUB_AWAY))
		note(HUB_AWAY, "");
}

void
hub_presence_refuses(const char *why)
{
	note(HUB_REFUSES, why);
}

struct hub_presence
hub_presence(void)
{
	struct hub_presence out;

	pthread_mutex_lock(&hub.lock);
	out = (struct hub_presence){ .reach = (enum hub_reach)hub.reach, .n_times = hub.n_times };
	if (out.reach != HUB_NOT_TRIED) {
		out.for_ms = clock_boot_ms() - hub.since_ms;
		out.since = clock_wall() - out.for_ms / 1000; /* by the clock as it is now: it may have been set */
	}
	snprintf(out.why, sizeof(out.why), "%s", hub.why);
	pthread_mutex_unlock(&hub.lock);
	return out;
}
