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
	hub_presence_note(true);
	CHECK_INT(hub_presence().reach, HUB_REACHED);
	CHECK_INT(hub_presence().since, 1000);
	clock_set_for_test(2000);
	hub_presence_note(true);
	CHECK_INT(hub_presence().since, 1000);
	hub_presence_note(false);
	clock_set_for_test(3000);
	hub_presence_note(false);
	CHECK_INT(hub_presence().reach, HUB_AWAY);
	CHECK_INT(hub_presence().since, 2000);
	CHECK_INT(hub_presence().n_times, 1);
	hub_presence_note(true);
	CHECK_INT(hub_presence().since, 3000);
	CHECK_INT(metric_value(gateway_metric(METRIC_OFFLINE_COUNT, ID)), 1);
	clock_set_for_test(0);
}
