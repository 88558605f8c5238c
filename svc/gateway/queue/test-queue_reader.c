/* SPDX-License-Identifier: Apache-2.0 */
/* A log on its way out: nothing is forgotten before it is done, what is done is not sent again, and who is slow holds up nobody else. */
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "gateway/queue/test_queue_reader.h"

static void
fixture_open(struct fixture *f, const char *name, int n)
{
	fixture_start(f, name, 4096);
	store_numbers(f->log, 0, n);
	fixture_read(f);
}

static void
fixture_reopen(struct fixture *f)
{
	queue_reader_close(f->reader);
	CHECK_INT(f->places.n, 0);
	CHECK_INT(f->places.bytes, 0);
	f->reader = reader_of(f->dir, f->log, &f->places);
}

static uint64_t
length(const struct fixture *f)
{
	struct queue_counts counts;

	queue_reader_counts(f->reader, &counts);
	return counts.length;
}

TEST("messages come in the order of the queue, and then none without an error")
{
	struct fixture f;

	fixture_open(&f, "order", 3);
	for (int i = 0; i < 3; i++)
		CHECK_INT(number_of(next_of(f.reader)), i);
	CHECK(!next_of(f.reader));
	CHECK_INT(length(&f), 3);
	fixture_close(&f);
}

TEST("what was not done comes again after a restart, from the oldest on")
{
	struct queued *q[4];
	struct fixture f;

	fixture_open(&f, "again", 4);
	for (int i = 0; i < 4; i++)
		q[i] = next_of(f.reader);
	queue_reader_end(q[1], QUEUE_DONE);
	queue_reader_end(q[3], QUEUE_DONE);
	CHECK_INT(length(&f), 2);
	fixture_reopen(&f);
	CHECK_INT(number_of(next_of(f.reader)), 0);
	fixture_close(&f);
}

TEST("what was done up to some message does not come again")
{
	struct queued *q[4];
	struct fixture f;

	fixture_open(&f, "done", 4);
	for (int i = 0; i < 4; i++)
		q[i] = next_of(f.reader);
	queue_reader_end(q[2], QUEUE_DONE);
	queue_reader_end(q[0], QUEUE_GIVEN_UP);
	queue_reader_end(q[1], QUEUE_DONE);
	fixture_reopen(&f);
	CHECK_INT(number_of(next_of(f.reader)), 3);
	CHECK_INT(length(&f), 1);
	fixture_close(&f);
}

TEST("a record that is no message is left out, and those behind it come")
{
	struct fixture f;

	fixture_start(&f, "record", 16);
	store_numbers(f.log, 0, 1);
	store_bytes(f.log, "\x01\xff\xff", 3);
	store_numbers(f.log, 2, 1);
	fixture_read(&f);
	CHECK_INT(number_of(next_of(f.reader)), 0);
	CHECK_INT(number_of(next_of(f.reader)), 2);
	fixture_close(&f);
}

TEST("the position is kept also when the log was closed before")
{
	struct fixture f;

	fixture_open(&f, "closed", 2);
	queue_reader_end(next_of(f.reader), QUEUE_DONE);
	event_log_close(f.log);
	queue_reader_close(f.reader);
	f.log = open_log(f.dir, 0);
	f.reader = reader_of(f.dir, f.log, &f.places);
	CHECK_INT(number_of(next_of(f.reader)), 1);
	fixture_close(&f);
}

TEST("segments whose messages are done are removed once the position is saved")
{
	OWN_TEXT dir = fresh_dir("removed");
	struct event_log *log = log_with(dir, 1000, 20);
	struct queue_places places = { .n_max = 64, .bytes_max = 1 << 20 };
	struct queue_reader *reader = reader_of(dir, log, &places);

	CHECK_INT(event_log_first(log), 0);
	for (int i = 0; i < 15; i++)
		queue_reader_end(next_of(reader), QUEUE_DONE);
	save_position(reader);
	queue_reader_close(reader);
	event_log_close(log); /* what it was told to forget has gone then */
	log = open_log(dir, 1000);
	CHECK(event_log_first(log) > 0);
	CHECK(event_log_first(log) <= 15);
	event_log_close(log);
}

/* -- Places ------------------------------------------------------------------------------------------------------------------------------ */

TEST("one device gets half of the places, and another message for each that is done when half of those are")
{
	struct queued *q[8];
	struct fixture f;

	fixture_start(&f, "half", 16);
	store_of(f.log, "dev1", 0, 100, 0);
	fixture_read(&f);
	for (int i = 0; i < 8; i++)
		q[i] = next_of(f.reader);
	CHECK(!next_of(f.reader));
	CHECK_INT(length(&f), 100);
	for (int i = 0; i < 4; i++)
		queue_reader_end(q[i], QUEUE_DONE);
	CHECK_INT(number_of(next_of(f.reader)), 8);
	CHECK_INT(length(&f), 96);
	fixture_close(&f);
}

TEST("a device that gets nothing done holds up its own messages and nobody else's")
{
	struct fixture f;
	struct queued *q;
	int n_stuck = 0, n_others = 0;

	fixture_start(&f, "stuck", 16);
	store_of(f.log, "stuck", 0, 500, 0);
	for (int i = 0; i < 500; i++)
		store_of(f.log, i % 2 ? "a" : "b", i, 1, 0);
	fixture_read(&f);
	while ((q = next_of(f.reader)))
		if (text_is(q->device_id, "stuck")) {
			n_stuck++;
		} else {
			CHECK_INT(number_of(q), n_others++);
			queue_reader_end(q, QUEUE_DONE);
		}
	CHECK_INT(n_others, 500);
	CHECK(n_stuck > 0 && n_stuck <= 8);
	CHECK_INT(length(&f), 500);
	fixture_close(&f);
}

TEST("many devices that get nothing done leave a place for one that does")
{
	struct fixture f;
	struct queued *q;
	int n = 0;

	fixture_start(&f, "many", 64);
	for (int i = 0; i < 40 * 60; i++) {
		OWN_TEXT name = mem_textf("stuck%d", i % 60);

		store_of(f.log, name, i, 1, 0);
	}
	store_of(f.log, "alive", 0, 300, 0);
	fixture_read(&f);
	while ((q = next_of(f.reader)))
		if (text_is(q->device_id, "alive")) {
			CHECK_INT(number_of(q), n++);
			queue_reader_end(q, QUEUE_DONE);
		}
	CHECK_INT(n, 300);
	fixture_close(&f);
}

/* As fixture_read, for a reader that waits for `patience_ms`. */
static void
fixture_read_patiently(struct fixture *f, int patience_ms)
{
	struct queue_reader_config config = { .dir = f->dir, .places = &f->places, .patience_ms = patience_ms };
	struct err err = ERR_INIT;

	event_log_close(f->log);
	f->log = open_log(f->dir, 0);
	config.log = f->log;
	f->reader = queue_reader_open(&config, &err);
	CHECK(f->reader);
}

TEST("a device that moves is waited for, so that what it and the others sent is read once")
{
	struct queued *q[8];
	struct err err = ERR_INIT;
	struct fixture f;
	OWN_TEXT path = NULL;

	fixture_start(&f, "moves", 16);
	store_of(f.log, "busy", 0, 100, 0);
	store_of(f.log, "other", 0, 1, 0);
	fixture_read_patiently(&f, 600000);
	for (int i = 0; i < 8; i++)
		q[i] = queue_reader_next(f.reader, &err);
	for (int i = 8; i < 100; i++) {
		CHECK(!queue_reader_next(f.reader, &err));
		CHECK_INT(queue_reader_rest(f.reader), QUEUE_WAITS);
		queue_reader_end(q[i % 8], QUEUE_DONE);
		q[i % 8] = queue_reader_next(f.reader, &err);
		CHECK_INT(number_of(q[i % 8]), i);
	}
	CHECK_STR(queue_reader_next(f.reader, &err)->device_id, "other");
	save_position(f.reader);
	path = file_join(f.dir, "lines");
	CHECK(!file_exists(path));
	fixture_close(&f);
}

TEST("who moves slowly while others have had much more is not waited for any longer")
{
	struct queued *q[8], *others[4];
	struct err err = ERR_INIT;
	struct fixture f;

	fixture_start(&f, "slowly", 16);
	store_of(f.log, "other", 0, 4, 0);
	store_of(f.log, "slow", 0, 20, 0);
	store_of(f.log, "other", 4, 1, 0);
	fixture_read_patiently(&f, 600000);
	for (int i = 0; i < 4; i++)
		others[i] = queue_reader_next(f.reader, &err);
	for (int i = 0; i < 6; i++)
		q[i] = queue_reader_next(f.reader, &err);
	CHECK(q[5] && !queue_reader_next(f.reader, &err));
	CHECK_INT(queue_reader_rest(f.reader), QUEUE_WAITS);
	for (int i = 0; i < 4; i++)
		queue_reader_end(others[i], QUEUE_DONE);
	for (int i = 6; i < 8; i++) /* there are more places free now */
		CHECK_INT(number_of(queue_reader_next(f.reader, &err)), i);
	for (int i = 0; i < 6; i++)
		queue_reader_end(q[i], QUEUE_DONE);
	CHECK_INT(number_of(queue_reader_next(f.reader, &err)), 8);
	fixture_close(&f);
}

TEST("while nobody can be delivered for, nobody is skipped at once, nor for ever waited for")
{
	struct err err = ERR_INIT;
	struct queued *q;
	struct fixture f;

	fixture_start(&f, "away", 16);
	store_of(f.log, "a", 0, 50, 0);
	store_of(f.log, "b", 0, 1, 0);
	f.places.is_away = true;
	fixture_read_patiently(&f, 10);
	while ((q = queue_reader_next(f.reader, &err)))
		CHECK_STR(q->device_id, "a");
	CHECK_INT(queue_reader_rest(f.reader), QUEUE_WAITS);
	CHECK_STR(next_of(f.reader)->device_id, "b");
	fixture_close(&f);
}

/* What each device has sent has come in order, all of it once, whatever is done when. */
TEST("in whatever order messages are done, each device's come in their own, once, and all of them")
{
	enum { DEVICES = 7, MESSAGES = 3000, WINDOW = 40 };
	struct queued *out[WINDOW];
	int next[DEVICES] = { 0 }, n_out = 0, n_done = 0;
	unsigned random = 1;
	struct fixture f;

	fixture_start(&f, "shuffled", WINDOW);
	for (int i = 0, sent[DEVICES] = { 0 }; i < MESSAGES; i++) {
		int who = (int)((random = random * 1103515245u + 12345u) >> 16) % DEVICES;
		OWN_TEXT name = NULL;

		who = who == 6 || i < 300 ? 0 : who; /* one of them much more than the others */
		name = mem_textf("%d", who);
		store_of(f.log, name, sent[who]++, 1, 0);
	}
	fixture_read(&f);
	while (n_done < MESSAGES) {
		struct queued *q = next_of(f.reader);

		if (q) {
			CHECK_INT(number_of(q), next[q->device_id[0] - '0']++);
			out[n_out++] = q;
		}
		random = random * 1103515245u + 12345u;
		if (q && random >> 31)
			continue;
		CHECK(n_out > 0);
		for (int i = (int)((random >> 16) % (unsigned)n_out), once = 1; once; once = 0) {
			queue_reader_end(out[i], QUEUE_DONE);
			out[i] = out[--n_out];
			n_done++;
		}
	}
	CHECK(!next_of(f.reader));
	CHECK_INT(length(&f), 0);
	fixture_reopen(&f);
	CHECK(!next_of(f.reader));
	fixture_close(&f);
}

TEST("after a restart what was done beyond a device that is behind is not sent again, and that device goes on where it was")
{
	struct queued *stuck[4];
	int n_stuck = 0;
	struct fixture f;
	struct queued *q;

	fixture_start(&f, "restart", 8);
	store_of(f.log, "stuck", 0, 200, 0);
	store_of(f.log, "alive", 0, 200, 0);
	store_of(f.log, "stuck", 200, 10, 0);
	fixture_read(&f);
	while ((q = next_of(f.reader)))
		if (text_is(q->device_id, "alive"))
			queue_reader_end(q, QUEUE_DONE);
		else
			stuck[n_stuck++] = q;
	queue_reader_end(stuck[0], QUEUE_DONE);
	CHECK_INT(length(&f), 209);
	fixture_reopen(&f);
	CHECK_INT(length(&f), 209);
	for (int i = 1; i < 210; i++) {
		q = next_of(f.reader);
		CHECK(q && text_is(q->device_id, "stuck"));
		CHECK_INT(number_of(q), i);
		queue_reader_end(q, QUEUE_DONE);
	}
	CHECK(!next_of(f.reader));
	CHECK_INT(length(&f), 0);
	fixture_close(&f);
}

TEST("without the file of lines, or with half of it, all from the oldest on is sent again")
{
	struct fixture f;
	struct queued *q;
	struct err err = ERR_INIT;
	OWN_TEXT path = NULL;

	fixture_start(&f, "half-file", 8);
	store_of(f.log, "stuck", 0, 200, 0);
	store_of(f.log, "alive", 0, 5, 0);
	fixture_read(&f);
	while ((q = next_of(f.reader)))
		if (text_is(q->device_id, "alive"))
			queue_reader_end(q, QUEUE_DONE);
	save_position(f.reader);
	path = file_join(f.dir, "lines");
	CHECK(file_exists(path));
	queue_reader_close(f.reader);
	CHECK_OK(file_save(path, "1 205\n0 stu", 11, 0600, &err), err);
	f.reader = reader_of(f.dir, f.log, &f.places);
	CHECK_INT(length(&f), 205);
	CHECK_INT(number_of(next_of(f.reader)), 0);
	fixture_close(&f);
}

TEST("where all is for one sink, nobody is held back: all of the places are its own")
{
	struct queue_reader_config config;
	struct fixture f;
	struct err err = ERR_INIT;

	fixture_open(&f, "one-line", 100);
	queue_reader_close(f.reader);
	f.places.n_max = 16;
	config = (struct queue_reader_config){ .dir = f.dir, .log = f.log, .places = &f.places, .one_line = true };
	f.reader = queue_reader_open(&config, &err);
	for (int i = 0; i < 16; i++)
		CHECK_INT(number_of(next_of(f.reader)), i);
	CHECK(!next_of(f.reader));
	fixture_close(&f);
}

/* -- Time -------------------------------------------------------------------------------------------------------------------------------- */

TEST("what has expired is not given any more, and counted; what has not is")
{
	struct queue_counts counts;
	struct fixture f;

	clock_set_for_test(1800000000);
	fixture_start(&f, "expired", 16);
	store_of(f.log, "dev1", 0, 3, 1800000000000 - 1);
	store_of(f.log, "dev1", 3, 1, 1800000000000 + 1);
	store_of(f.log, "dev1", 4, 1, 0);
	fixture_read(&f);
	CHECK_INT(number_of(next_of(f.reader)), 3);
	CHECK_INT(number_of(next_of(f.reader)), 4);
	CHECK(!next_of(f.reader));
	queue_reader_counts(f.reader, &counts);
	CHECK_INT(counts.expired, 3);
	CHECK_INT(counts.length, 2);
	clock_set_for_test(0);
	fixture_close(&f);
}

TEST("a device that is behind loses what expires, and nothing else")
{
	struct queue_counts counts;
	struct queued *q[8];
	struct fixture f;

	clock_set_for_test(1800000000);
	fixture_start(&f, "behind-expired", 16);
	store_of(f.log, "dev1", 0, 8, 0);
	store_of(f.log, "dev1", 8, 100, 1800000000000 + 60000);
	store_of(f.log, "dev1", 108, 2, 0);
	fixture_read(&f);
	for (int i = 0; i < 8; i++)
		q[i] = next_of(f.reader);
	CHECK(!next_of(f.reader));
	clock_set_for_test(1800000061);
	for (int i = 0; i < 8; i++)
		queue_reader_end(q[i], QUEUE_DONE);
	CHECK_INT(number_of(next_of(f.reader)), 108);
	CHECK_INT(number_of(next_of(f.reader)), 109);
	queue_reader_counts(f.reader, &counts);
	CHECK_INT(counts.expired, 100);
	CHECK_INT(counts.length, 2);
	clock_set_for_test(0);
	fixture_close(&f);
}

/* -- Room -------------------------------------------------------------------------------------------------------------------------------- */

TEST("to make room the oldest segment goes, with what was not done of it, and the rest comes in order")
{
	OWN_TEXT dir = fresh_dir("room");
	struct event_log *log = log_with(dir, 1500, 40);
	struct queue_places places = { .n_max = 64, .bytes_max = 1 << 20 };
	struct queue_reader *reader = reader_of(dir, log, &places);
	struct queued *first = next_of(reader), *q;
	struct queue_counts counts;
	size_t n = 0, all = 0;
	int number;

	queue_reader_end(first, QUEUE_DONE);
	for (int i = 1; i <= 4; i++)
		CHECK_INT(number_of(next_of(reader)), i); /* these are on their way, and not dropped */
	for (int i = 0; i < 5; i++) {
		CHECK(drop_oldest(reader, &n));
		all += n;
	}
	CHECK(all > 3);
	queue_reader_counts(reader, &counts);
	CHECK_INT(counts.dropped, all);
	CHECK_INT(counts.length, 39 - all);
	q = next_of(reader);
	CHECK_INT(number_of(q), 5 + (int)all);
	number = number_of(q);
	queue_reader_close(reader);
	event_log_close(log);
	log = open_log(dir, 1500);
	CHECK(event_log_first(log) > 0);
	reader = reader_of(dir, log, &places);
	CHECK_INT(number_of(next_of(reader)), number);
	queue_reader_close(reader);
	event_log_close(log);
}

TEST("a device that is behind loses what was dropped of it, and no more is counted than was lost")
{
	OWN_TEXT dir = fresh_dir("room-behind");
	struct event_log *log = open_log(dir, 1500);
	struct queue_places places = { .n_max = 4, .bytes_max = 1 << 20 };
	struct queue_reader *reader;
	struct queue_counts counts;
	struct queued *q;
	size_t n, all = 0;
	int got = 0;

	for (int i = 0; i < 60; i++) { /* a group each */
		store_of(log, i % 3 ? "stuck" : "alive", i, 1, 0);
		event_log_close(log);
		log = open_log(dir, 1500);
	}
	reader = reader_of(dir, log, &places);
	while ((q = next_of(reader)))
		if (text_is(q->device_id, "alive")) {
			queue_reader_end(q, QUEUE_DONE);
			got++;
		}
	CHECK_INT(got, 20);
	while (drop_oldest(reader, &n))
		all += n;
	queue_reader_counts(reader, &counts);
	CHECK_INT(counts.length, 40 - all);
	CHECK(all > 20 && all < 40);
	CHECK_INT(counts.dropped, all);
	queue_reader_close(reader);
	event_log_close(log);
}

TEST("who is behind goes on while it is counted what was dropped of him, and no message is counted twice or not at all")
{
	OWN_TEXT dir = fresh_dir("room-meanwhile");
	struct event_log *log = open_log(dir, 1500);
	struct queue_places places = { .n_max = 4, .bytes_max = 1 << 20 };
	struct queue_reader *reader;
	struct queue_counts counts;
	struct queue_drop *drop;
	struct queued *q, *held[2] = { NULL };
	size_t lost;
	int got = 0, n_held = 0;

	for (int i = 0; i < 60; i++) { /* a group each */
		store_of(log, i % 3 ? "stuck" : "alive", i, 1, 0);
		event_log_close(log);
		log = open_log(dir, 1500);
	}
	reader = reader_of(dir, log, &places);
	while ((q = next_of(reader))) {
		if (text_is(q->device_id, "alive")) {
			queue_reader_end(q, QUEUE_DONE);
			got++;
		} else if (n_held < 2) {
			held[n_held++] = q;
		}
	}
	CHECK_INT(got, 20);
	drop = queue_reader_drop(reader);
	CHECK(drop != NULL);
	CHECK(queue_reader_drop(reader) == NULL); /* one at a time */
	for (int i = 0; i < n_held; i++)
		queue_reader_end(held[i], QUEUE_DONE);
	got = n_held;
	while ((q = next_of(reader))) { /* up to where the first reading is: it has caught up */
		queue_reader_end(q, QUEUE_DONE);
		got++;
	}
	queue_drop_count(drop);
	lost = queue_reader_dropped(reader, drop);
	queue_reader_counts(reader, &counts);
	CHECK_INT(got + (int)lost, 40);
	CHECK_INT(counts.length, 0);
	CHECK_INT(counts.dropped, lost);
	queue_reader_close(reader);
	event_log_close(log);
}

TEST("a segment that can't be left is not counted as dropped, however often it is tried")
{
	OWN_TEXT dir = fresh_dir("room-unreadable");
	OWN_TEXT away = mem_textf("%s.away", dir);
	struct event_log *log = log_with(dir, 1500, 40);
	struct queue_places places = { .n_max = 64, .bytes_max = 1 << 20 };
	struct queue_reader *reader = reader_of(dir, log, &places);
	struct queue_counts counts;
	size_t n;

	CHECK_INT(rename(dir, away), 0); /* what is to be opened is not there */
	for (int i = 0; i < 3; i++)
		CHECK(!drop_oldest(reader, &n));
	queue_reader_counts(reader, &counts);
	CHECK_INT(counts.dropped, 0);
	CHECK_INT(counts.length, 40);
	CHECK_INT(rename(away, dir), 0);
	CHECK(drop_oldest(reader, &n));
	queue_reader_counts(reader, &counts);
	CHECK_INT(counts.dropped, n);
	CHECK_INT(counts.length, 40 - n);
	queue_reader_close(reader);
	event_log_close(log);
}

TEST("a log of one segment has nothing to drop")
{
	struct fixture f;
	size_t n;

	fixture_open(&f, "one-segment", 5);
	CHECK(!drop_oldest(f.reader, &n));
	CHECK_INT(number_of(next_of(f.reader)), 0);
	fixture_close(&f);
}

TEST("what is done of a line that is behind is not sent again after a restart, though others have their oldest still before it")
{
	struct queued *q[13];
	struct fixture f;
	int next = 2;

	fixture_start(&f, "further", 16);
	store_of(f.log, "a", 0, 9, 0);
	store_of(f.log, "b", 0, 1, 0);
	store_of(f.log, "c", 0, 9, 0);
	fixture_read(&f);
	for (size_t i = 0; i < COUNT(q); i++)
		CHECK(q[i] = next_of(f.reader));
	CHECK(!next_of(f.reader)); /* a and c have their share of the places: what follows is skipped */
	CHECK_STR(q[9]->device_id, "c");
	queue_reader_end(q[9], QUEUE_DONE);
	queue_reader_end(q[10], QUEUE_DONE);
	queue_reader_close(f.reader);
	fixture_read(&f);
	while ((q[0] = next_of(f.reader)))
		if (*q[0]->device_id == 'c')
			CHECK_INT(number_of(q[0]), next++);
	CHECK(next > 2);
	fixture_close(&f);
}

/* "a" has left, "b" waits, and of "c", which is behind, two are done. */
static void
do_some_of_c(struct fixture *f)
{
	struct queued *q[13];

	store_of(f->log, "a", 0, 8, 0);
	store_of(f->log, "b", 0, 1, 0);
	store_of(f->log, "c", 0, 9, 0);
	fixture_read(f);
	for (size_t i = 0; i < COUNT(q); i++)
		CHECK(q[i] = next_of(f->reader));
	CHECK(!next_of(f->reader));
	CHECK_STR(q[8]->device_id, "b");
	for (size_t i = 0; i < 11; i++)
		if (i != 8)
			queue_reader_end(q[i], QUEUE_DONE);
	queue_reader_close(f->reader);
}

TEST("what is done of a line that is behind is not sent again after a restart, though the oldest of all that waits is where the "
     "others are")
{
	struct fixture f;
	struct queued *q;

	fixture_start(&f, "at-the-front", 16);
	do_some_of_c(&f);
	fixture_read(&f);
	CHECK(q = next_of(f.reader));
	CHECK_STR(q->device_id, "b");
	for (int i = 2; i < 9; i++)
		CHECK_INT(number_of(next_of(f.reader)), i);
	fixture_close(&f);
}

TEST("nor is it after the next restart, when the line was behind no more")
{
	struct fixture f;
	struct queued *q;

	fixture_start(&f, "twice", 16);
	do_some_of_c(&f);
	fixture_read(&f);
	CHECK(q = next_of(f.reader));
	CHECK_STR(q->device_id, "b");
	CHECK_INT(number_of(next_of(f.reader)), 2); /* it is read ahead */
	save_position(f.reader);
	queue_reader_close(f.reader);
	fixture_read(&f);
	CHECK(q = next_of(f.reader));
	CHECK_STR(q->device_id, "b");
	CHECK_INT(number_of(next_of(f.reader)), 2);
	fixture_close(&f);
}
