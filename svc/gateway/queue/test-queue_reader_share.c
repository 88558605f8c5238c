/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves a log is taken from its sender's share of the queue, once; what waits in it at the start is added to it. */
#include <stdlib.h>

#include "base/clock.h"
#include "gateway/queue/queue_log.h"
#include "gateway/queue/test_queue_reader.h"

#define NOW 1800000000

struct shares {
	struct fixture f;
	struct queue_share *share;
};

static uint32_t
sender_of(const struct shares *s, const char *device_id)
{
	return queue_share_sender(s->share, slice_of(device_id), slice_of(""));
}

static uint64_t
waiting(const struct shares *s, const char *device_id)
{
	return queue_share_waiting(s->share, sender_of(s, device_id));
}

/* Whole bytes of a message with one digit, as the queue adds them. */
static uint64_t
size_of(const char *device_id)
{
	return queue_share_size(&(struct message){ .device_id = slice_of(device_id), .payload = slice_of("0") });
}

/* The reader of what is in the log and what is to come. */
static void
begin(struct shares *s)
{
	struct queue_reader_config config = { .dir = s->f.dir, .log = s->f.log, .places = &s->f.places, .patience_ms = 1 };
	struct err err = ERR_INIT;

	config.share = s->share;
	s->f.reader = queue_reader_open(&config, &err);
	if (!s->f.reader)
		fail_msg("%s", err.text);
}

static void
open_shares(struct shares *s, const char *name, size_t n_places)
{
	clock_set_for_test(NOW);
	fixture_start(&s->f, name, n_places);
	s->share = queue_share_new("edge");
}

/* As the queue does it; n < 10. */
static void
store(struct shares *s, const char *device_id, int n, int64_t expires_ms)
{
	uint64_t next = event_log_next(s->f.log);

	for (int i = 0; i < n; i++)
		queue_share_add(s->share, sender_of(s, device_id), size_of(device_id));
	store_of(s->f.log, device_id, 0, n, expires_ms);
	while (event_log_next(s->f.log) < next + (uint64_t)n)
		sched_yield();
}

static void
close_shares(struct shares *s)
{
	fixture_close(&s->f);
	queue_share_free(s->share);
	clock_set_for_test(0);
}

TEST("what is delivered, given up or expired in memory leaves its sender's share")
{
	static const enum queue_end ends[] = { QUEUE_DONE, QUEUE_GIVEN_UP, QUEUE_EXPIRED };
	struct shares s;

	open_shares(&s, "ends", 100);
	begin(&s);
	store(&s, "a", 3, 0);
	store(&s, "b", 1, 0);
	for (size_t i = 0; i < COUNT(ends); i++) {
		CHECK_INT(waiting(&s, "a"), (3 - i) * size_of("a"));
		queue_reader_end(next_of(s.f.reader), ends[i]);
	}
	CHECK_INT(waiting(&s, "a"), 0);
	CHECK_INT(waiting(&s, "b"), size_of("b"));
	CHECK(next_of(s.f.reader)); /* it is only taken */
	CHECK_INT(waiting(&s, "b"), size_of("b"));
	close_shares(&s);
}

TEST("what has expired before it is read leaves, too, also of a line that is behind")
{
	struct queued *q[4];
	struct shares s;

	open_shares(&s, "expired", 8);
	begin(&s);
	store(&s, "a", 3, (NOW - 1) * (int64_t)1000);
	CHECK(!next_of(s.f.reader));
	CHECK_INT(waiting(&s, "a"), 0);
	store(&s, "a", 9, (NOW + 60) * (int64_t)1000);
	for (size_t i = 0; i < COUNT(q); i++)
		CHECK(q[i] = next_of(s.f.reader));
	CHECK(!next_of(s.f.reader)); /* it has its share of the places: what follows is skipped */
	CHECK_INT(waiting(&s, "a"), 9 * size_of("a"));
	clock_set_for_test(NOW + 61);
	for (size_t i = 0; i < COUNT(q); i++)
		queue_reader_end(q[i], QUEUE_DONE);
	CHECK(!next_of(s.f.reader));
	CHECK_INT(waiting(&s, "a"), 0);
	close_shares(&s);
}

TEST("what a module sent leaves the share of its device, and of the gateway's own device that of the module, read or expired")
{
	static const struct {
		const char *device_id, *module_id;
	} from[] = { { "a", "" }, { "a", "m" }, { "edge", "" }, { "edge", "m" }, { "edge", "n" } };
	struct shares s;

	open_shares(&s, "modules", 100);
	begin(&s);
	for (size_t i = 0; i < 2 * COUNT(from); i++) {
		struct message m = { .source = MESSAGE_TELEMETRY,
			.device_id = slice_of(from[i / 2].device_id),
			.module_id = slice_of(from[i / 2].module_id),
			.expires_ms = i % 2 ? (NOW - 1) * (int64_t)1000 : 0 };

		queue_share_add(s.share, queue_share_sender(s.share, m.device_id, m.module_id), queue_share_size(&m));
		store_message(s.f.log, &m);
	}
	while (event_log_next(s.f.log) < 2 * COUNT(from))
		sched_yield();
	for (size_t i = 0; i < COUNT(from); i++)
		queue_reader_end(next_of(s.f.reader), QUEUE_DONE);
	CHECK(!next_of(s.f.reader));
	for (size_t i = 0; i < COUNT(from); i++)
		CHECK_INT(queue_share_waiting(
				  s.share, queue_share_sender(s.share, slice_of(from[i].device_id), slice_of(from[i].module_id))),
			0);
	close_shares(&s);
}

/* As the queue does it when it is started again. */
static void
restart(struct shares *s, bool is_crash)
{
	struct err err = ERR_INIT;
	struct message_log *log;

	(is_crash ? queue_reader_discard : queue_reader_close)(s->f.reader);
	event_log_close(s->f.log);
	queue_share_free(s->share);
	s->share = queue_share_new("edge");
	log = queue_log_open(s->f.dir, 0, s->share, &err);
	if (!log)
		fail_msg("%s", err.text);
	message_log_free(log);
	s->f.log = open_log(s->f.dir, 0);
	begin(s);
}

TEST("what was there at the start is of its sender's share until it has left, expired or not")
{
	struct shares s;

	open_shares(&s, "before", 100);
	begin(&s);
	store(&s, "a", 5, 0);
	store(&s, "a", 5, (NOW - 1) * (int64_t)1000);
	queue_reader_end(next_of(s.f.reader), QUEUE_DONE);
	restart(&s, false);
	CHECK_INT(waiting(&s, "a"), 9 * size_of("a"));
	store(&s, "a", 1, 0);
	for (int i = 0; i < 5; i++)
		queue_reader_end(next_of(s.f.reader), QUEUE_DONE);
	CHECK(!next_of(s.f.reader));
	CHECK_INT(waiting(&s, "a"), 0);
	close_shares(&s);
}

#define DEVICES 4
static const char *const devices[DEVICES] = { "a", "b", "c", "d" };

static size_t
index_of(const struct queued *q)
{
	return (size_t)(*q->device_id - 'a');
}

/* Some rounds of messages that come and leave in any order; of the first device few leave, so that it is behind. */
static void
live(struct shares *s, unsigned *seed)
{
	struct queued *held[16], *q;
	size_t n = 0;

	for (int round = 0; round < 8; round++) {
		for (size_t i = 0; i < DEVICES; i++)
			store(s, devices[i], rand_r(seed) % 4, 0);
		while ((q = next_of(s->f.reader)))
			held[n++] = q;
		for (size_t i = n; i-- > 0;)
			if (rand_r(seed) % (index_of(held[i]) == 0 ? 8 : 2) == 0) {
				queue_reader_end(held[i], QUEUE_DONE);
				held[i] = held[--n];
			}
		if (rand_r(seed) % 2)
			save_position(s->f.reader);
	}
}

TEST("at the start all that will be read is of its sender's share and nothing else, whoever was behind, after a crash, too")
{
	for (unsigned i = 0; i < 40; i++) {
		OWN_TEXT name = mem_textf("again%u", i);
		unsigned seed = i, n[DEVICES] = { 0 };
		uint64_t before[DEVICES];
		struct queued *q;
		struct shares s;

		open_shares(&s, name, 8);
		begin(&s);
		for (unsigned life = 0; life < 3; life++) {
			live(&s, &seed);
			restart(&s, (i >> life) % 2);
		}
		for (size_t d = 0; d < DEVICES; d++)
			before[d] = waiting(&s, devices[d]);
		while ((q = next_of(s.f.reader))) {
			n[index_of(q)]++;
			queue_reader_end(q, QUEUE_DONE);
		}
		for (size_t d = 0; d < DEVICES; d++) {
			CHECK_INT(before[d], n[d] * size_of(devices[d]));
			CHECK_INT(waiting(&s, devices[d]), 0);
		}
		close_shares(&s);
	}
}
