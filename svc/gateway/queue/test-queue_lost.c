/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves a log without being sent is counted by who had sent it. */
#include "base/clock.h"
#include "gateway/gauges/gateway_metrics.h"
#include "gateway/queue/queue_lost.h"
#include "gateway/queue/test_queue_reader.h"

#define SENDERS 100 /* more than are at hand */

static int64_t
lost_of(const char *reason, const char *from)
{
	return metric_value(gateway_metric(METRIC_DROPPED, reason, from, NULL));
}

TEST("each sender's are counted, however many there are and in whatever order, and a module's apart from its device's")
{
	struct queue_lost lost = { 0 };

	for (int round = 0; round < 3; round++)
		for (int i = 0; i < SENDERS; i++) {
			OWN_TEXT name = mem_textf("many%d", i);
			struct message m = { .device_id = slice_of(name) };

			queue_lost_count(&lost, QUEUE_LOST_EXPIRED, &m);
			m.module_id = slice_of("m");
			queue_lost_count(&lost, i % 2 ? QUEUE_LOST_GIVEN_UP : QUEUE_LOST_EXPIRED, &m);
		}
	for (int i = 0; i < SENDERS; i++) {
		OWN_TEXT name = mem_textf("many%d", i);
		OWN_TEXT module = mem_textf("many%d/m", i);

		CHECK_INT(lost_of("ttl_expiry", name), 3);
		CHECK_INT(lost_of("device_gone", name), 0);
		CHECK_INT(lost_of("ttl_expiry", module), i % 2 ? 0 : 3);
		CHECK_INT(lost_of("device_gone", module), i % 2 ? 3 : 0);
	}
}

TEST("a log counts what expires before it is read, what does in memory, and what is given up, and not what was sent")
{
	struct fixture f;
	struct queued *q[3];

	clock_set_for_test(1800000000);
	fixture_start(&f, "lost", 100);
	store_of(f.log, "early", 0, 4, 1799999999000);
	store_of(f.log, "late", 0, 3, 0);
	fixture_read(&f);
	for (size_t i = 0; i < COUNT(q); i++)
		CHECK(q[i] = next_of(f.reader));
	queue_reader_end(q[0], QUEUE_EXPIRED);
	queue_reader_end(q[1], QUEUE_GIVEN_UP);
	queue_reader_end(q[2], QUEUE_DONE);
	CHECK_INT(lost_of("ttl_expiry", "early"), 4);
	CHECK_INT(lost_of("device_gone", "early"), 0);
	CHECK_INT(lost_of("ttl_expiry", "late"), 1);
	CHECK_INT(lost_of("device_gone", "late"), 1);
	fixture_close(&f);
	clock_set_for_test(0);
}
