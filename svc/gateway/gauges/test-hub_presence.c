/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/clock.h"
#include "gateway/gauges/gateway_metrics.h"
#include "gateway/gauges/hub_presence.h"
#include "t.h"

#define EDGE "edge1"
#define ID EDGE "/$edgeHub"

TEST("nobody has tried at first; then it is as it was told last, since it changed, and each loss is counted once")
{
	clock_set_for_test(1000);
	hub_presence_begin(EDGE, ID, false);
	CHECK_INT(hub_presence().reach, HUB_NOT_TRIED);
	hub_presence_reached();
	CHECK_INT(hub_presence().reach, HUB_REACHED);
	CHECK_INT(hub_presence().since, 1000);
	clock_set_for_test(2000); /* set, no time has passed: what was since then is told by the clock as it is now */
	hub_presence_reached();
	CHECK_INT(hub_presence().since, 2000);
	CHECK(hub_presence().for_ms < 1000);
	hub_presence_lost();
	clock_set_for_test(3000);
	hub_presence_lost();
	CHECK_INT(hub_presence().reach, HUB_AWAY);
	CHECK_INT(hub_presence().since, 3000);
	CHECK_INT(hub_presence().n_times, 1);
	hub_presence_reached();
	CHECK_INT(hub_presence().since, 3000);
	CHECK_INT(metric_value(gateway_metric(METRIC_OFFLINE_COUNT, ID)), 1);
	clock_set_for_test(0);
}

TEST("a hub that refuses is not away, whatever becomes of connections, until a question says so or somebody is served")
{
	uint64_t before = hub_presence().n_times;

	hub_presence_reached();
	hub_presence_refuses("status 401: the device is disabled");
	hub_presence_lost();
	CHECK_INT(hub_presence().reach, HUB_REFUSES);
	CHECK_STR(hub_presence().why, "status 401: the device is disabled");
	hub_presence_refuses("status 404: no such device");
	CHECK_STR(hub_presence().why, "status 404: no such device");
	CHECK_INT(hub_presence().n_times, before);
	hub_presence_away();
	CHECK_INT(hub_presence().reach, HUB_AWAY);
	CHECK_INT(hub_presence().n_times, before + 1);
	CHECK_STR(hub_presence().why, "");
	hub_presence_refuses("no");
	hub_presence_reached();
	CHECK_INT(hub_presence().reach, HUB_REACHED);
}

/* -- Beyond the parent ------------------------------------------------------------------------------------------------------------------------ */

static const struct hub_word reached = { .reach = HUB_REACHED }, silent = { 0 };

static struct hub_word
lost(enum hub_reach reach, int64_t for_s, const char *gateway)
{
	struct hub_word word = { .reach = reach, .for_s = for_s };

	snprintf(word.gateway, sizeof(word.gateway), "%s", gateway);
	return word;
}

static int n_changes;

static void
on_change(void *arg)
{
	(void)arg;
	n_changes++;
}

/* Below a parent, which has answered. */
static void
below(bool has_parent)
{
	hub_presence_begin(EDGE, ID, has_parent);
	hub_presence_away();
	hub_presence_reached();
	hub_presence_watch(on_change, NULL);
	n_changes = 0;
}

TEST("a parent that is there and has lost the hub is no hub: since when it says, by this clock, and by which gateway it was lost")
{
	struct hub_word away = lost(HUB_AWAY, 600, "edge0");
	struct hub_presence now;

	below(true);
	clock_set_for_test(5000);
	now = hub_presence();
	CHECK(hub_presence_is_served(&now) && now.beyond.reach == HUB_NOT_TRIED); /* it has not told: as good as there */
	hub_presence_told(&away);
	now = hub_presence();
	CHECK(!hub_presence_is_served(&now) && hub_presence_is_away(&now));
	CHECK_INT(now.reach, HUB_REACHED);
	CHECK_INT(now.beyond.reach, HUB_AWAY);
	CHECK_INT(now.beyond.since, 4400);
	CHECK_STR(now.beyond.gateway, "edge0");
	CHECK(hub_presence_away_ms(&now) >= 600000 && hub_presence_away_ms(&now) < 660000);
	hub_presence_told(&reached);
	now = hub_presence();
	CHECK(hub_presence_is_served(&now) && now.beyond.reach == HUB_REACHED && !hub_presence_is_away(&now) &&
		hub_presence_away_ms(&now) == 0);
	clock_set_for_test(0);
}

TEST("it is passed on below as it was told, with the name of who lost it; the own loss with the own name; nothing when the parent "
     "does not tell")
{
	struct hub_word away = lost(HUB_REFUSES, 60, "edge0"), word;

	below(true);
	CHECK_INT(hub_presence_word().reach, HUB_NOT_TRIED);
	hub_presence_told(&away);
	word = hub_presence_word();
	CHECK_INT(word.reach, HUB_REFUSES);
	CHECK_INT(word.for_s, 60);
	CHECK_STR(word.gateway, "edge0");
	hub_presence_lost();
	word = hub_presence_word();
	CHECK_INT(word.reach, HUB_AWAY);
	CHECK_STR(word.gateway, EDGE);
	hub_presence_reached();
	CHECK_INT(hub_presence_word().reach, HUB_NOT_TRIED); /* what it said before it was lost holds no more */
	below(false);
	CHECK_INT(hub_presence_word().reach, HUB_REACHED);
}

TEST("who watches hears of each change once, and of none that is only the time it took to be told")
{
	struct hub_word away = lost(HUB_AWAY, 60, "edge0"), later = lost(HUB_AWAY, 61, "edge0"),
			other = lost(HUB_AWAY, 60, "edge9"), again = lost(HUB_AWAY, 3, "edge9");

	below(true);
	hub_presence_told(&silent);
	CHECK_INT(n_changes, 0);
	hub_presence_told(&away);
	hub_presence_told(&later);
	CHECK_INT(n_changes, 1);
	hub_presence_told(&other);
	CHECK_INT(n_changes, 2);
	hub_presence_told(&again); /* it was back in between */
	CHECK_INT(n_changes, 3);
	hub_presence_told(&reached);
	hub_presence_told(&reached);
	hub_presence_reached();
	CHECK_INT(n_changes, 4);
	hub_presence_lost();
	hub_presence_lost();
	CHECK_INT(n_changes, 5);
	hub_presence_watch(NULL, NULL);
}

TEST("an answer's word gives way to one that came by itself since the question; one without a word forgets what was told; and "
     "there is nothing beyond the hub")
{
	struct hub_word away = lost(HUB_AWAY, 60, "edge0");
	uint64_t n_told;

	below(true);
	n_told = hub_presence_n_told();
	hub_presence_answered(&reached, n_told);
	CHECK_INT(hub_presence().beyond.reach, HUB_REACHED);
	hub_presence_told(&away);
	hub_presence_answered(&reached, n_told);
	CHECK_INT(hub_presence().beyond.reach, HUB_AWAY);
	hub_presence_answered(&silent, hub_presence_n_told());
	CHECK_INT(hub_presence().beyond.reach, HUB_NOT_TRIED);
	below(false);
	hub_presence_told(&away);
	CHECK_INT(hub_presence().beyond.reach, HUB_NOT_TRIED);
	hub_presence_watch(NULL, NULL);
}
