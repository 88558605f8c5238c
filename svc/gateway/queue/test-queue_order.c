/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is among priorities, and where their logs are. */
#include "gateway/queue/queue_order.h"

#include "base/mem.h"
#include "gateway/queue/queue_place.h"
#include "t.h"

static int
next(struct queue_order *order, bool first, bool middle, bool last, int64_t now_ms)
{
	const bool has_some[ROUTE_PRIORITIES] = { [0] = first, [5] = middle, [ROUTE_LOWEST] = last };

	return queue_order_next(order, has_some, now_ms);
}

TEST("the lowest number that has something goes first, for as long as it has")
{
	struct queue_order order = { 0 };

	for (int i = 0; i < 1000; i++)
		CHECK_INT(next(&order, true, true, true, 100 + i), 0);
	CHECK_INT(next(&order, false, true, true, 1200), 5);
	CHECK_INT(next(&order, false, false, true, 1300), ROUTE_LOWEST);
	CHECK_INT(next(&order, false, false, false, 1400), -1);
}

TEST("who was passed over for ten seconds has a short turn, and then waits again")
{
	struct queue_order order = { 0 };

	CHECK_INT(next(&order, true, true, false, 1000), 0);
	CHECK_INT(next(&order, true, true, false, 1000 + QUEUE_PASSED_OVER_MS - 1), 0);
	for (int i = 0; i < QUEUE_TURN; i++)
		CHECK_INT(next(&order, true, true, false, 1000 + QUEUE_PASSED_OVER_MS), 5);
	CHECK_INT(next(&order, true, true, false, 1000 + QUEUE_PASSED_OVER_MS), 0);
	CHECK_INT(next(&order, true, true, false, 1000 + 2 * QUEUE_PASSED_OVER_MS), 5);
}

TEST("who had a turn of its own was not passed over")
{
	struct queue_order order = { 0 };

	CHECK_INT(next(&order, true, true, false, 1000), 0);
	CHECK_INT(next(&order, false, true, false, 9000), 5);
	CHECK_INT(next(&order, true, true, false, 12000), 0);
}

TEST("each sink and priority has its folder, and the folder says whose it is; the first of all is where it always was")
{
	static const struct {
		struct queue_place place;
		const char *path;
	} rows[] = {
		{ { NULL, NULL, ROUTE_LOWEST }, "S/queue" },
		{ { NULL, NULL, 0 }, "S/queues/upstream@0" },
		{ { (char *)(uintptr_t) "filter", (char *)(uintptr_t) "in1", 9 }, "S/queues/filter@in1@9" },
		{ { (char *)(uintptr_t) "$a@b", (char *)(uintptr_t) "x/..%", ROUTE_LOWEST }, "S/queues/%24a%40b@x%2F..%25@10" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN_TEXT path = queue_place_path(&rows[i].place, "S");
		struct queue_place back;

		CHECK_STR(path, rows[i].path);
		if (i == 0)
			continue;
		CHECK(queue_place_parse(rows[i].path + strlen("S/queues/"), &back));
		CHECK_STR(back.module_id, rows[i].place.module_id);
		CHECK_STR(back.input, rows[i].place.input);
		CHECK_INT(back.priority, rows[i].place.priority);
		queue_place_clear(&back);
	}
}

TEST("folders that are not ours are none of our places")
{
	static const char *const names[] = { "", "upstream", "upstream@", "upstream@11", "upstream@-1", "other@3", "a@b@c",
		"a@b@3@4", "a@%zz@3", "a@%00@3", "@b@3", "upstream@3.damaged-17", "a@b@3.saved" };
	struct queue_place place;

	for (size_t i = 0; i < COUNT(names); i++)
		if (queue_place_parse(names[i], &place))
			fail_msg("%s was taken", names[i]);
}
