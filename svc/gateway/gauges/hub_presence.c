/* SPDX-License-Identifier: Apache-2.0 */
/* The hub, present or not. */
#include "gateway/gauges/hub_presence.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/gauges/gateway_metrics.h"

#define SAME_MS 2000 /* for how long is told to the second, and takes its time on the way */

struct beyond {
	enum hub_reach reach;
	int64_t since_ms;
	char gateway[IDENTITY_ID_MAX + 1];
};

static struct {
	pthread_mutex_t lock;
	atomic_int reach; /* enum hub_reach; changed with the lock held */
	int64_t since_ms; /* boot clock */
	uint64_t n_times;
	char edge_id[IDENTITY_ID_MAX + 1];
	char id[2 * IDENTITY_ID_MAX + 2];
	char why[HUB_WHY_MAX];
	bool has_parent;
	struct beyond beyond;
	uint64_t n_told;
	void (*changed)(void *arg);
	void *arg;
} hub = { .lock = PTHREAD_MUTEX_INITIALIZER };

void
hub_presence_begin(const char *edge_id, const char *id, bool has_parent)
{
	pthread_mutex_lock(&hub.lock);
	snprintf(hub.edge_id, sizeof(hub.edge_id), "%s", edge_id);
	snprintf(hub.id, sizeof(hub.id), "%s", id);
	hub.has_parent = has_parent;
	pthread_mutex_unlock(&hub.lock);
}

void
hub_presence_watch(void (*changed)(void *arg), void *arg)
{
	pthread_mutex_lock(&hub.lock);
	hub.changed = changed;
	hub.arg = arg;
	pthread_mutex_unlock(&hub.lock);
}

/* Takes the lock back. */
static void
unlock_and_tell(bool has_changed)
{
	void (*changed)(void *arg) = has_changed ? hub.changed : NULL;
	void *arg = hub.arg;

	pthread_mutex_unlock(&hub.lock);
	if (changed)
		changed(arg);
}

/* -- Those right above --------------------------------------------------------------------------------------------------------------------- */

static void
count(enum hub_reach before, enum hub_reach now, int64_t for_ms)
{
	if (now == HUB_AWAY)
		metric_add(gateway_metric(METRIC_OFFLINE_COUNT, hub.id), 1);
	else if (before == HUB_AWAY)
		metric_observe(gateway_metric(METRIC_OFFLINE_TIME, hub.id), for_ms);
}

/* What a parent said that is not there any more, or no longer serves us, holds for nothing. */
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
		if (now != HUB_REACHED)
			hub.beyond = (struct beyond){ 0 };
		count(before, now, for_ms);
	}
	unlock_and_tell(before != now);
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

/* -- Beyond them --------------------------------------------------------------------------------------------------------------------------- */

/* For how long it has been reached, or not spoken of, is not told, and counts from when it was heard. */
static bool
is_as_before(const struct beyond *now)
{
	return now->reach == hub.beyond.reach && text_is(now->gateway, hub.beyond.gateway) &&
	       (now->reach == HUB_REACHED || now->reach == HUB_NOT_TRIED || llabs(now->since_ms - hub.beyond.since_ms) <= SAME_MS);
}

/* With the lock. */
static bool
take(const struct hub_word *word)
{
	struct beyond now = { .reach = word->reach, .since_ms = clock_boot_ms() - word->for_s * 1000 };

	snprintf(now.gateway, sizeof(now.gateway), "%s", word->gateway);
	if (!hub.has_parent || is_as_before(&now))
		return false;
	hub.beyond = now;
	return true;
}

void
hub_presence_told(const struct hub_word *word)
{
	pthread_mutex_lock(&hub.lock);
	hub.n_told++;
	unlock_and_tell(take(word));
}

void
hub_presence_answered(const struct hub_word *word, uint64_t n_told)
{
	pthread_mutex_lock(&hub.lock);
	unlock_and_tell(n_told == hub.n_told && take(word));
}

uint64_t
hub_presence_n_told(void)
{
	uint64_t n;

	pthread_mutex_lock(&hub.lock);
	n = hub.n_told;
	pthread_mutex_unlock(&hub.lock);
	return n;
}

/* -- What is known ------------------------------------------------------------------------------------------------------------------------- */

/* By the clock as it is now: it may have been set. */
static int64_t
wall_since(int64_t since_ms)
{
	return clock_wall() - (clock_boot_ms() - since_ms) / 1000;
}

struct hub_presence
hub_presence(void)
{
	struct hub_presence out;

	pthread_mutex_lock(&hub.lock);
	out = (struct hub_presence){ .reach = (enum hub_reach)hub.reach, .n_times = hub.n_times };
	if (out.reach != HUB_NOT_TRIED) {
		out.for_ms = clock_boot_ms() - hub.since_ms;
		out.since = wall_since(hub.since_ms);
	}
	snprintf(out.why, sizeof(out.why), "%s", hub.why);
	out.beyond.reach = hub.beyond.reach;
	if (out.beyond.reach != HUB_NOT_TRIED) {
		out.beyond.for_ms = clock_boot_ms() - hub.beyond.since_ms;
		out.beyond.since = wall_since(hub.beyond.since_ms);
	}
	snprintf(out.beyond.gateway, sizeof(out.beyond.gateway), "%s", hub.beyond.gateway);
	pthread_mutex_unlock(&hub.lock);
	return out;
}

bool
hub_presence_is_served(const struct hub_presence *p)
{
	return p->reach == HUB_REACHED && p->beyond.reach != HUB_AWAY && p->beyond.reach != HUB_REFUSES;
}

bool
hub_presence_is_away(const struct hub_presence *p)
{
	return p->reach == HUB_AWAY || (p->reach == HUB_REACHED && !hub_presence_is_served(p));
}

int64_t
hub_presence_away_ms(const struct hub_presence *p)
{
	if (!hub_presence_is_away(p))
		return 0;
	return p->reach == HUB_AWAY ? p->for_ms : p->beyond.for_ms;
}

/* The own loss with the own name; else what the parent told, as it is. */
struct hub_word
hub_presence_word(void)
{
	struct hub_presence now = hub_presence();
	struct hub_word word = { .reach = now.reach, .for_s = now.for_ms / 1000 };

	snprintf(word.gateway, sizeof(word.gateway), "%s", hub.edge_id); /* since hub_presence_begin it is the same */
	if (now.reach != HUB_REACHED)
		return word;
	if (!hub.has_parent)
		return (struct hub_word){ .reach = HUB_REACHED };
	word = (struct hub_word){ .reach = now.beyond.reach, .for_s = now.beyond.for_ms / 1000 };
	snprintf(word.gateway, sizeof(word.gateway), "%s", now.beyond.gateway);
	return word;
}
