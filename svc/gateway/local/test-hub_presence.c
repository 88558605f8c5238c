/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "gateway/local/gateway_metrics.h"
#include "gateway/local/hub_presence.h"
#include "t.h"

#define ID "edge1/$edgeHub"

TEST("nobody has tried at first; then it is as it was told last, since it changed, and each loss is counted once")
{
	clock_set_for_test(1000);
	hub_presence_begin(ID);
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
