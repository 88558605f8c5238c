/* SPDX-License-Identifier: Apache-2.0 */
/* The event log: what is acknowledged comes back in order, in groups, within its bounds. */
#include "base/clock.h"
#include "store/segment.h"
#include "test_event_log.h"

TEST("records come back in order, with the offsets they were acknowledged with, over many segments")
{
	const char *dir = new_dir();
	uint64_t *firsts = NULL;
	struct err err = ERR_INIT;
	size_t n = 0;

	fill(dir, 300, 50);
	CHECK_INT(read_all(dir, 0), 50);
	CHECK_INT(read_all(dir, 23), 50);
	CHECK_OK(segment_list(dir, &firsts, &n, &err), err);
	CHECK(n > 5);
	mem_free(firsts);
}

TEST("a reader that waits sees a record as soon as it is acknowledged, also across a new segment")
{
	const char *dir = new_dir();
	struct event_log *log = open_log(dir, 200);
	struct err err = ERR_INIT;
	struct event_reader *reader = event_reader_open(dir, &(struct event_start){ .value = 0 }, &err);
	struct event_record record;
	struct desk desk;

	desk_init(&desk);
	for (uint64_t i = 0; i < 20; i++) {
		CHECK_INT(event_reader_next(reader, &record, &err), 0);
		CHECK(append_number(log, &desk, i));
		CHECK_INT(event_reader_next(reader, &record, &err), 1);
		CHECK_INT(record.place.offset, i);
	}
	event_reader_close(reader);
	event_log_close(log);
}

TEST("what arrives while the disk is busy is one group and completes with one post to each owner")
{
	struct event_log *log = open_log(new_dir(), 0);
	struct one ones[400] = { 0 };
	struct err err = ERR_INIT;
	struct desk desk[2];

	desk_init(&desk[0]);
	desk_init(&desk[1]);
	for (size_t i = 0; i < COUNT(ones); i++) {
		ones[i].append = (struct event_append){ .done = on_done, .owner = &desk[i % 2].owner };
		CHECK_OK(event_log_append(log, &ones[i].append, "x", 1, &err), err);
	}
	event_log_close(log); /* completes what was appended */
	while (desk_run_one(&desk[0], false) || desk_run_one(&desk[1], false))
		;
	for (size_t i = 0; i < COUNT(ones); i++) {
		CHECK(ones[i].done && ones[i].ok);
		CHECK_INT(ones[i].append.place.offset, i);
	}
	CHECK(desk[0].n_posts + desk[1].n_posts < COUNT(ones) / 2);
}

TEST("a log opened again goes on with the next offset")
{
	const char *dir = new_dir();
	struct event_log *log;
	struct desk desk;

	desk_init(&desk);
	fill(dir, 300, 7);
	log = open_log(dir, 300);
	CHECK_INT(event_log_next(log), 7);
	CHECK_INT(event_log_first(log), 0);
	for (uint64_t i = 7; i < 20; i++)
		CHECK(append_number(log, &desk, i));
	event_log_close(log);
	CHECK_INT(read_all(dir, 0), 20);
}

TEST("only one process writes a log at a time")
{
	const char *dir = new_dir();
	struct event_log *log = open_log(dir, 0);

	open_fails(dir, ERR_CONFLICT, "in use by another process");
	event_log_close(log);
	event_log_close(open_log(dir, 0));
}

TEST("retention drops the oldest segments and a late reader goes on with the first that is left")
{
	const char *dir = new_dir();
	struct event_log_config config = { .dir = dir, .max_bytes = 20000 };
	struct err err = ERR_INIT;
	struct event_reader *late;
	struct event_log *log = event_log_open(&config, &err);
	struct event_record record = { 0 };
	struct desk desk;
	uint64_t first;

	desk_init(&desk);
	CHECK(log != NULL);
	CHECK(append_number(log, &desk, 0));
	late = event_reader_open(dir, &(struct event_start){ .value = 0 }, &err);
	CHECK_INT(event_reader_next(late, &record, &err), 1);
	for (uint64_t i = 1; i < 600; i++)
		CHECK(append_number(log, &desk, i));
	first = event_log_first(log);
	CHECK(first > 100);
	CHECK(event_log_bytes(log) <= 20000);
	while (event_reader_next(late, &record, &err) == 1)
		;
	CHECK_INT(err.kind, ERR_NONE);
	CHECK_INT(record.place.offset, 599);
	event_reader_close(late);
	event_log_close(log);
	CHECK_INT(read_all(dir, first), 600);
}

static void
free_counted(struct event_append *append, bool ok)
{
	(void)ok;
	mem_free(CONTAINER_OF(append, struct one, append));
}

TEST("a queue takes no more than it may hold, also from who does not wait for the disk")
{
	const char *dir = new_dir();
	const uint64_t max_bytes = 2 << 20;
	struct event_log_config config = { .dir = dir, .max_bytes = max_bytes, .refuse_when_full = true };
	struct err err = ERR_INIT;
	struct event_log *log = event_log_open(&config, &err);
	static char record[20000];
	int n_refused = 0;
	struct desk desk;

	desk_init(&desk);
	CHECK(log != NULL);
	while (n_refused < 1000) {
		struct one *one = NEW(one);

		one->append = (struct event_append){ .done = free_counted, .owner = &desk.owner };
		if (event_log_append(log, &one->append, record, sizeof(record), &err) == 0)
			continue;
		mem_free(one);
		n_refused++;
		sched_yield();
	}
	event_log_close(log);
	while (desk_run_one(&desk, false))
		;
	log = event_log_open(&config, &err);
	CHECK(log != NULL);
	CHECK(event_log_bytes(log) > max_bytes / 2);
	CHECK(event_log_bytes(log) <= max_bytes + 8 * 1024); /* with the headers of its segments */
	event_log_close(log);
}

TEST("a queue refuses when it is full and takes more once its consumer forgot a segment")
{
	const char *dir = new_dir();
	struct event_log_config config = { .dir = dir, .max_bytes = 20000, .refuse_when_full = true };
	struct one one = { .append = { .done = on_done } };
	struct err err = ERR_INIT;
	struct event_log *log = event_log_open(&config, &err);
	struct desk desk;
	uint64_t n = 0;

	desk_init(&desk);
	one.append.owner = &desk.owner;
	CHECK(log != NULL);
	while (event_log_append(log, &one.append, "a reading that waits to be passed on", 36, &err) == 0) {
		while (!one.done)
			desk_run_one(&desk, true);
		CHECK(one.ok);
		one.done = false;
		n++;
	}
	CHECK_ERR(err, ERR_LIMIT, "the queue is full");
	CHECK(n > 10);
	CHECK_INT(event_log_first(log), 0);
	event_log_forget_below(log, n);
	while (event_log_first(log) == 0)
		sched_yield(); /* the writer thread removes them */
	CHECK_OK(event_log_append(log, &one.append, "a reading that waits to be passed on", 36, &err), err);
	while (!one.done)
		desk_run_one(&desk, true);
	CHECK(one.ok);
	event_log_close(log);
}

TEST("a queue that is full of one segment takes more once all of that is forgotten")
{
	const char *dir = new_dir();
	struct event_log_config config = { .dir = dir, .max_bytes = 20000, .refuse_when_full = true };
	static const char record[12000];
	struct one one = { .append = { .done = on_done } };
	struct err err = ERR_INIT;
	struct event_log *log = event_log_open(&config, &err);
	struct desk desk;

	desk_init(&desk);
	one.append.owner = &desk.owner;
	CHECK(log != NULL);
	CHECK_OK(event_log_append(log, &one.append, record, sizeof(record), &err), err);
	while (!one.done)
		desk_run_one(&desk, true);
	CHECK(event_log_append(log, &one.append, record, sizeof(record), &err) < 0);
	CHECK(event_log_load(log) > sizeof(record));
	event_log_forget_below(log, 1);
	while (event_log_first(log) == 0)
		sched_yield();
	CHECK(event_log_load(log) < 2000);
	one.done = false;
	CHECK_OK(event_log_append(log, &one.append, record, sizeof(record), &err), err);
	while (!one.done)
		desk_run_one(&desk, true);
	CHECK(one.ok && one.append.place.offset == 1);
	event_log_close(log);
}

struct counter {
	struct post post;
	int n;
};

static void
count(struct post *post)
{
	CONTAINER_OF(post, struct counter, post)->n++;
}

TEST("a subscriber is told of new records, once for many while it has not looked")
{
	struct event_log *log = open_log(new_dir(), 0);
	struct counter counter = { .post.run = count };
	struct desk desk, other;

	desk_init(&desk);
	desk_init(&other);
	event_log_subscribe(log, &other.owner, &counter.post);
	for (uint64_t i = 0; i < 10; i++)
		CHECK(append_number(log, &desk, i));
	desk_run_one(&other, true);
	CHECK_INT(counter.n, 1);
	CHECK(append_number(log, &desk, 10));
	desk_run_one(&other, true);
	CHECK_INT(counter.n, 2);
	CHECK(append_number(log, &desk, 11));
	event_log_close(log);
	while (desk_run_one(&other, false))
		;
	CHECK(counter.n <= 3); /* a notice that comes after the close is dropped */
}

TEST("who waits for a record is told once, not when there is one already, and not after it has given up")
{
	struct event_log *log = open_partitioned(new_dir(), 0, 1);
	struct counter a = { .post.run = count }, b = { .post.run = count };
	struct event_wait wait_a = { 0 }, wait_b = { 0 };
	struct desk desk, other;

	desk_init(&desk);
	desk_init(&other);
	CHECK(!event_log_wait(log, &wait_a, 0, &other.owner, &a.post));
	CHECK(!event_log_wait(log, &wait_b, 0, &other.owner, &b.post));
	CHECK(event_log_wait_no_more(log, &wait_b));
	CHECK(append_number(log, &desk, 0));
	desk_run_one(&other, true);
	CHECK(a.n == 1 && b.n == 0);
	CHECK(!event_log_wait_no_more(log, &wait_a));
	CHECK(event_log_wait(log, &wait_a, 0, &other.owner, &a.post));
	CHECK(!event_log_wait(log, &wait_a, 1, &other.owner, &a.post));
	event_log_close(log);
	CHECK(desk_run_one(&other, false)); /* the end is news, too */
	CHECK_INT(a.n, 2);
}

TEST("a record that is empty or above the ceiling is refused")
{
	struct event_log_config config = { .dir = new_dir(), .max_record = 10 };
	struct err err = ERR_INIT;
	struct event_log *log = event_log_open(&config, &err);
	struct one one = { .append = { .done = on_done } };

	CHECK(event_log_append(log, &one.append, "", 0, &err) < 0);
	CHECK(event_log_append(log, &one.append, "12345678901", 11, &err) < 0);
	CHECK_ERR(err, ERR_LIMIT, "11 bytes");
	event_log_close(log);
}

TEST("a cursor is kept, begins at zero, and is refused when it is no number")
{
	const char *dir = new_dir();
	OWN_TEXT path = mem_textf("%s/upstream.cursor", dir);
	struct err err = ERR_INIT;
	uint64_t offset = 9;

	CHECK_OK(file_make_dir(dir, 0700, &err), err);
	CHECK_OK(event_cursor_load(dir, "upstream", &offset, &err), err);
	CHECK_INT(offset, 0);
	CHECK_OK(event_cursor_save(dir, "upstream", 1234567, &err), err);
	CHECK_OK(event_cursor_load(dir, "upstream", &offset, &err), err);
	CHECK_INT(offset, 1234567);
	store(path, (const uint8_t *)"twelve", 6);
	CHECK(event_cursor_load(dir, "upstream", &offset, &err) < 0);
	CHECK_ERR(err, ERR_BROKEN, path);
}
