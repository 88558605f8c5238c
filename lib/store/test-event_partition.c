/* SPDX-License-Identifier: Apache-2.0 */
/* The event log's partitions and times. */
#include "base/clock.h"
#include "store/segment.h"
#include "test_event_log.h"

static struct event_place
append_to(struct event_log *log, struct desk *desk, unsigned partition, const char *text)
{
	struct one one = { .append = { .done = on_done, .owner = &desk->owner, .place.partition = partition } };
	struct err err = ERR_INIT;

	CHECK_OK(event_log_append(log, &one.append, text, strlen(text), &err), err);
	while (!one.done)
		desk_run_one(desk, true);
	CHECK(one.ok);
	return one.append.place;
}

/* Every record must carry the next number of its partition. */
static void
check_numbers(const char *dir, uint64_t next[4])
{
	struct err err = ERR_INIT;
	struct event_reader *reader = event_reader_open(dir, &(struct event_start){ .value = 0 }, &err);
	struct event_record record;
	int64_t latest_ms = 0;
	int got;

	memset(next, 0, 4 * sizeof(*next));
	while ((got = event_reader_next(reader, &record, &err)) == 1) {
		CHECK_INT(record.place.sequence, next[record.place.partition]);
		CHECK(record.place.time_ms >= latest_ms);
		latest_ms = record.place.time_ms;
		next[record.place.partition]++;
	}
	CHECK_INT(got, 0);
	event_reader_close(reader);
}

TEST("the numbers of each partition grow by one, over segments, restarts and torn ends")
{
	const char *dir = new_dir();
	struct event_partition p;
	uint64_t next[4], n = 0;
	struct event_log *log;
	struct desk desk;

	desk_init(&desk);
	for (int round = 0; round < 5; round++) {
		log = open_partitioned(dir, 1400, 4);
		for (unsigned i = 0; i < 40; i++)
			append_to(log, &desk, (i * i + (unsigned)round) % 4, "reading");
		n += 40;
		event_log_partition(log, 1, &p);
		event_log_close(log);
		check_numbers(dir, next);
		CHECK_INT(next[0] + next[1] + next[2] + next[3], n);
		CHECK_INT(p.next, next[1]);
		if (round == 2) { /* the last record is torn, before anybody was told */
			uint64_t *firsts = NULL;
			size_t n_firsts = 0;
			struct err err = ERR_INIT;
			struct bytes bytes;
			char name[SEGMENT_NAME_LEN];
			OWN_TEXT path = NULL;

			CHECK_OK(segment_list(dir, &firsts, &n_firsts, &err), err);
			path = mem_textf("%s/%s", dir, segment_name(firsts[n_firsts - 1], name));
			bytes = load(path);
			store(path, bytes.data, bytes.len - 3);
			forget_durable(dir);
			mem_free(bytes.data);
			mem_free(firsts);
			n--;
		}
	}
}

TEST("a partition's beginning, end, last offset and time are known after a restart and after retention, also of one that is quiet")
{
	const char *dir = new_dir();
	struct event_log_config config = { .dir = dir, .max_bytes = 20000, .n_partitions = 4 };
	struct err err = ERR_INIT;
	struct event_log *log = event_log_open(&config, &err);
	struct event_partition quiet, busy, again;
	struct event_place only, last = { 0 };
	struct desk desk;

	desk_init(&desk);
	only = append_to(log, &desk, 3, "the only one");
	for (int i = 0; i < 600; i++)
		last = append_to(log, &desk, 1, "one of many readings");
	for (int round = 0; round < 2; round++) {
		event_log_partition(log, 3, &quiet);
		event_log_partition(log, 1, &busy);
		CHECK(quiet.begin == 1 && quiet.next == 1); /* empty: the retention took it */
		CHECK(quiet.last_offset == only.offset && quiet.last_ms == only.time_ms);
		CHECK(busy.next == 600 && busy.begin > 0 && busy.last_offset == last.offset && busy.last_ms == last.time_ms);
		event_log_partition(log, 0, &again);
		CHECK(again.begin == 0 && again.next == 0);
		event_log_close(log);
		log = event_log_open(&config, &err);
	}
	event_log_close(log);
}

TEST("the number of partitions is that of the beginning")
{
	const char *dir = new_dir();

	event_log_close(open_partitioned(dir, 0, 8));
	for (unsigned n = 0; n < 5; n += 4) {
		struct event_log *log = open_partitioned(dir, 0, n);

		CHECK_INT(event_log_partitions(log), 8);
		event_log_close(log);
	}
}

TEST("reading begins with a sequence number or a time, wherever it is among the segments")
{
	const char *dir = new_dir();
	struct event_log *log;
	struct event_place places[60];
	struct event_record record;
	struct err err = ERR_INIT;
	struct event_reader *reader;
	struct desk desk;

	desk_init(&desk);
	clock_set_for_test(1772366400);
	log = open_partitioned(dir, 1400, 2);
	for (unsigned i = 0; i < COUNT(places); i++) {
		clock_set_for_test(1772366400 + i);
		places[i] = append_to(log, &desk, i % 3 == 0, "reading");
	}
	for (unsigned i = 0; i < COUNT(places); i++) {
		struct event_start by_number = {
			.kind = EVENT_AT_SEQUENCE, .partition = places[i].partition, .value = places[i].sequence
		};
		struct event_start by_time = { .kind = EVENT_AT_TIME, .value = (uint64_t)places[i].time_ms - 300 };

		reader = event_reader_open(dir, &by_number, &err);
		CHECK_INT(event_reader_next(reader, &record, &err), 1);
		CHECK_INT(record.place.offset, i);
		event_reader_close(reader);
		reader = event_reader_open(dir, &by_time, &err);
		CHECK_INT(event_reader_next(reader, &record, &err), 1);
		CHECK_INT(record.place.offset, i);
		event_reader_close(reader);
	}
	reader = event_reader_open(dir, &(struct event_start){ .kind = EVENT_AT_SEQUENCE, .partition = 1, .value = 999 }, &err);
	CHECK_INT(event_reader_next(reader, &record, &err), 0);
	append_to(log, &desk, 1, "a new one");
	CHECK_INT(event_reader_next(reader, &record, &err), 1);
	event_reader_rest(reader);
	append_to(log, &desk, 1, "and one after a rest");
	CHECK_INT(event_reader_next(reader, &record, &err), 1);
	CHECK_INT(record.place.offset, COUNT(places) + 1);
	event_reader_close(reader);
	event_log_close(log);
	clock_set_for_test(0);
}

TEST("what is older than the retention goes, also while nothing new comes")
{
	const char *dir = new_dir();
	struct event_log_config config = { .dir = dir, .max_age_ms = 4000, .n_partitions = 2 };
	struct err err = ERR_INIT;
	struct event_log *log;
	struct event_partition p;
	struct desk desk;

	desk_init(&desk);
	clock_set_for_test(1772366400);
	log = event_log_open(&config, &err);
	for (unsigned i = 0; i < 10; i++) {
		clock_set_for_test(1772366400 + i);
		append_to(log, &desk, 1, "reading");
	}
	CHECK(event_log_first(log) > 2 && event_log_first(log) < 8);
	clock_set_for_test(1772366400 + 60);
	do { /* the writer looks every half second: first it begins a new segment, which is young */
		clock_set_for_test(clock_wall() + 1);
		sched_yield();
	} while (event_log_first(log) < 10);
	event_log_partition(log, 1, &p);
	CHECK(p.begin == 10 && p.next == 10);
	CHECK_INT(append_to(log, &desk, 1, "after all of them").sequence, 10);
	event_log_close(log);
	clock_set_for_test(0);
}

TEST("a clock that goes back does not make a record older than the one before it")
{
	const char *dir = new_dir();
	struct event_log *log;
	struct desk desk;
	int64_t first_ms;

	desk_init(&desk);
	clock_set_for_test(1772366400);
	log = open_partitioned(dir, 0, 2);
	first_ms = append_to(log, &desk, 0, "noon").time_ms;
	clock_set_for_test(1772366000);
	CHECK_INT(append_to(log, &desk, 1, "later").time_ms, first_ms);
	event_log_close(log);
	log = open_partitioned(dir, 0, 2);
	CHECK_INT(append_to(log, &desk, 1, "after a restart").time_ms, first_ms);
	event_log_close(log);
	clock_set_for_test(0);
}

TEST("a log written by this version is read by the next one")
{
	const char *dir = new_dir(), *source = getenv("T_DATA");
	OWN_TEXT golden = mem_textf("%s/event-log-v2.log", source ? source : "tests/data");
	OWN_TEXT path = first_segment(dir);
	struct err err = ERR_INIT;
	struct bytes bytes = load(golden);
	uint64_t next[4];

	CHECK_OK(file_make_dir(dir, 0700, &err), err);
	store(path, bytes.data, bytes.len);
	check_numbers(dir, next);
	CHECK(next[0] == 1 && next[1] == 0 && next[2] == 1 && next[3] == 3);
	event_log_close(open_partitioned(dir, 0, 0));
	mem_free(bytes.data);
}
