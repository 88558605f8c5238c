/* SPDX-License-Identifier: Apache-2.0 */
/* The event log: what is acknowledged is there after anything that can happen to a process or a disk. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/event_log.h"
#include "store/segment.h"
#include "t.h"

/* -- An owner whose posts run where the test waits for them ------------------------------------------------------------------- */

struct desk {
	struct owner owner;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct post *head, **tail;
	size_t n_posts;
};

static void
desk_post(struct owner *owner, struct post *post)
{
	struct desk *desk = CONTAINER_OF(owner, struct desk, owner);

	pthread_mutex_lock(&desk->lock);
	post->next = NULL;
	*desk->tail = post;
	desk->tail = &post->next;
	desk->n_posts++;
	pthread_cond_signal(&desk->wake);
	pthread_mutex_unlock(&desk->lock);
}

static void
desk_init(struct desk *desk)
{
	*desk = (struct desk){ .owner.post = desk_post, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	desk->tail = &desk->head;
}

static bool
desk_run_one(struct desk *desk, bool wait)
{
	struct post *post;

	pthread_mutex_lock(&desk->lock);
	while (wait && !desk->head)
		pthread_cond_wait(&desk->wake, &desk->lock);
	post = desk->head;
	if (post) {
		desk->head = post->next;
		if (!desk->head)
			desk->tail = &desk->head;
	}
	pthread_mutex_unlock(&desk->lock);
	if (post)
		post->run(post);
	return post != NULL;
}

/* -- A log with records "0000 ...", "0001 ..." -------------------------------------------------------------------------------------- */

struct one {
	struct event_append append;
	bool done, ok;
};

static void
on_done(struct event_append *append, bool ok)
{
	struct one *one = CONTAINER_OF(append, struct one, append);

	one->done = true;
	one->ok = ok;
}

static size_t
record_text(char *out, size_t room, uint64_t i)
{
	return (size_t)snprintf(out, room, "%04llu the reading of a sensor", (unsigned long long)i);
}

/* Append one and wait for it. */
static bool
append_text(struct event_log *log, struct desk *desk, const char *text, uint64_t *offset)
{
	struct one one = { .append = { .done = on_done, .owner = &desk->owner } };
	struct err err = ERR_INIT;

	CHECK_OK(event_log_append(log, &one.append, text, strlen(text), &err), err);
	while (!one.done)
		desk_run_one(desk, true);
	if (offset)
		*offset = one.append.place.offset;
	return one.ok;
}

static bool
append_number(struct event_log *log, struct desk *desk, uint64_t i)
{
	char text[64];
	uint64_t offset = 0;
	bool ok;

	record_text(text, sizeof(text), i);
	ok = append_text(log, desk, text, &offset);
	if (ok)
		CHECK_INT(offset, i);
	return ok;
}

static struct event_log *
open_log(const char *dir, size_t segment_bytes)
{
	struct event_log_config config = { .dir = dir, .segment_bytes = segment_bytes };
	struct err err = ERR_INIT;
	struct event_log *log = event_log_open(&config, &err);

	if (!log)
		fail_msg("%s", err.text);
	return log;
}

static void
open_fails(const char *dir, enum err_kind kind, const char *part)
{
	struct event_log_config config = { .dir = dir };
	struct err err = ERR_INIT;

	CHECK(!event_log_open(&config, &err));
	CHECK_ERR(err, kind, part);
}

/* A reader, which is an operator's tool, says the same where the writer refuses: it never ends as if the log did. */
static void
reading_fails(const char *dir, const char *part)
{
	struct err err = ERR_INIT;
	struct event_reader *reader = event_reader_open(dir, &(struct event_start){ .value = 0 }, &err);
	struct event_record record;
	int got = reader ? 1 : -1;

	while (got == 1)
		got = event_reader_next(reader, &record, &err);
	event_reader_close(reader);
	CHECK_INT(got, -1);
	CHECK(strstr(err.text, part) != NULL);
}

/* Read all from an offset on: the records must be numbered without a gap.  Returns the offset after the last one. */
static uint64_t
read_all(const char *dir, uint64_t from)
{
	struct err err = ERR_INIT;
	struct event_reader *reader = event_reader_open(dir, &(struct event_start){ .value = from }, &err);
	struct event_record record;
	uint64_t next = from;
	char text[64];
	int got;

	if (!reader)
		fail_msg("%s", err.text);
	while ((got = event_reader_next(reader, &record, &err)) == 1) {
		CHECK_INT(record.place.offset, next);
		CHECK_INT(record.len, record_text(text, sizeof(text), next));
		CHECK_MEM(record.data, text, record.len);
		next++;
	}
	if (got < 0)
		fail_msg("%s", err.text);
	event_reader_close(reader);
	return next;
}

static const char *
new_dir(void)
{
	static char dir[128];
	static int n;

	snprintf(dir, sizeof(dir), "%s/log-%d", T_TMPDIR, n++);
	return dir;
}

static void
fill(const char *dir, size_t segment_bytes, uint64_t n)
{
	struct event_log *log = open_log(dir, segment_bytes);
	struct desk desk;

	desk_init(&desk);
	for (uint64_t i = 0; i < n; i++)
		CHECK(append_number(log, &desk, i));
	event_log_close(log);
}

struct bytes {
	uint8_t *data;
	size_t len;
};

static struct bytes
load(const char *path)
{
	struct buf b = BUF_INIT(1 << 24);
	struct err err = ERR_INIT;

	CHECK_OK(file_load(&b, path, &err), err);
	return (struct bytes){ b.data, b.len };
}

static void
store(const char *path, const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, data, len, 0600, &err), err);
}

static char *
first_segment(const char *dir)
{
	return mem_textf("%s/00000000000000000000.log", dir);
}

static void
forget_durable(const char *dir)
{
	OWN_TEXT lock = mem_textf("%s/lock", dir);

	CHECK(truncate(lock, 0) == 0);
}

/* -- Tests ---------------------------------------------------------------------------------------------------------------------- */

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

TEST("a power cut at any byte of the last write leaves every acknowledged record, and the log goes on")
{
	const char *dir = new_dir();
	OWN_TEXT path = first_segment(dir);
	struct event_log *log;
	struct bytes whole;
	struct desk desk;
	size_t safe;

	desk_init(&desk);
	fill(dir, 0, 5);
	whole = load(path);
	safe = whole.len;
	mem_free(whole.data);
	log = open_log(dir, 0);
	CHECK(append_number(log, &desk, 5));
	event_log_close(log);
	whole = load(path);
	for (size_t len = safe; len < whole.len; len++) {
		store(path, whole.data, len);
		forget_durable(dir); /* the note of what was durable was not on disk yet */
		log = open_log(dir, 0);
		CHECK_INT(event_log_next(log), 5);
		CHECK(append_number(log, &desk, 5));
		event_log_close(log);
		CHECK_INT(read_all(dir, 0), 6);
	}
	mem_free(whole.data);
}

/* Add a group of three records to the bytes of a segment, as the writer would; the first is then lost. */
static void
add_torn_group(struct buf *bytes, uint64_t next)
{
	uint32_t salt = (uint32_t)bytes->data[24] << 24 | (uint32_t)bytes->data[25] << 16 | (uint32_t)bytes->data[26] << 8 |
			bytes->data[27];
	size_t start = bytes->len, at;
	char text[64];

	for (uint32_t back = 0; back < 3; back++) {
		uint8_t head[SEGMENT_RECORD_LEN] = { 0 };
		size_t len = record_text(text, sizeof(text), next + back);

		at = bytes->len;
		buf_put(bytes, head, sizeof(head));
		buf_put(bytes, text, len);
		segment_seal(
			bytes->data + at, len, &(struct event_place){ .offset = next + back, .sequence = next + back }, back, salt);
	}
	memset(bytes->data + start, 0, SEGMENT_RECORD_LEN);
}

TEST("blocks of the last write that reached the disk in another order are a torn tail, not damage")
{
	const char *dir = new_dir();
	OWN_TEXT path = first_segment(dir);
	CLEAR(buf) bytes = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	struct event_log *log;

	fill(dir, 0, 3);
	CHECK_OK(file_load(&bytes, path, &err), err);
	add_torn_group(&bytes, 3);
	store(path, bytes.data, bytes.len);
	log = open_log(dir, 0);
	CHECK_INT(event_log_next(log), 3);
	event_log_close(log);
	CHECK_INT(read_all(dir, 0), 3);
}

TEST("a payload that imitates a record of a later group does not turn a torn tail into damage")
{
	const char *dir = new_dir();
	OWN_TEXT path = first_segment(dir);
	CLEAR(buf) bytes = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	uint8_t forged[SEGMENT_RECORD_LEN + 4] = { 0 };
	struct event_log *log;

	fill(dir, 0, 3);
	segment_seal(forged, 4, &(struct event_place){ .offset = 4, .sequence = 4 }, 0, 0); /* its author does not know the salt */
	CHECK_OK(file_load(&bytes, path, &err), err);
	buf_put(&bytes, "torn", 4);
	buf_put(&bytes, forged, sizeof(forged));
	store(path, bytes.data, bytes.len);
	log = open_log(dir, 0);
	CHECK_INT(event_log_next(log), 3);
	event_log_close(log);
}

TEST("a changed byte anywhere before the last write is damage: refused with path and offset, and left untouched")
{
	const char *dir = new_dir();
	OWN_TEXT path = first_segment(dir);
	struct bytes whole, after;

	fill(dir, 0, 4);
	whole = load(path);
	for (size_t at = 0; at < whole.len * 3 / 4; at += 3) {
		whole.data[at] ^= 0x5a;
		store(path, whole.data, whole.len);
		open_fails(dir, at < 12 && at >= 8 ? ERR_INVALID : ERR_BROKEN, path);
		after = load(path);
		CHECK_INT(after.len, whole.len);
		CHECK_MEM(after.data, whole.data, whole.len);
		mem_free(after.data);
		reading_fails(dir, path);
		whole.data[at] ^= 0x5a;
	}
	mem_free(whole.data);
}

TEST("acknowledged records that are gone without a trace are noticed")
{
	const char *dir = new_dir();
	OWN_TEXT path = first_segment(dir);
	struct bytes whole;

	fill(dir, 0, 4);
	whole = load(path);
	store(path, whole.data, whole.len - 5);
	open_fails(dir, ERR_BROKEN, "had been acknowledged");
	store(path, whole.data, whole.len);
	event_log_close(open_log(dir, 0));
	mem_free(whole.data);
}

TEST("a segment of a newer version is refused and left untouched")
{
	const char *dir = new_dir();
	OWN_TEXT path = first_segment(dir);
	struct bytes whole, after;

	fill(dir, 0, 2);
	whole = load(path);
	whole.data[11] = 3;
	store(path, whole.data, whole.len);
	open_fails(dir, ERR_INVALID, "version 3");
	after = load(path);
	CHECK_MEM(after.data, whole.data, whole.len);
	mem_free(after.data);
	mem_free(whole.data);
}

TEST("a segment whose creation was cut short is begun again")
{
	const char *dir = new_dir();
	OWN_TEXT path = mem_textf("%s/00000000000000000006.log", dir);
	struct event_log *log;
	struct desk desk;

	desk_init(&desk);
	fill(dir, 0, 6);
	for (size_t len = 0; len <= SEGMENT_HEADER_LEN; len += 8) {
		uint8_t zeros[SEGMENT_HEADER_LEN] = { 0 };

		store(path, zeros, len);
		log = open_log(dir, 0);
		CHECK_INT(event_log_next(log), 6);
		event_log_close(log);
	}
	log = open_log(dir, 0);
	CHECK(append_number(log, &desk, 6));
	event_log_close(log);
	CHECK_INT(read_all(dir, 0), 7);
}

TEST("when the n-th write or sync fails, what was acknowledged is there and appending recovers without a restart")
{
	for (int n = 1; n < 12; n++) {
		const char *dir = new_dir();
		struct event_log *log = open_log(dir, 150);
		struct desk desk;
		uint64_t next = 0;

		desk_init(&desk);
		file_fault_after = n;
		for (int tries = 0; tries < 8; tries++)
			next += append_number(log, &desk, next);
		CHECK(next >= 7);
		file_fault_after = 0;
		event_log_close(log);
		CHECK_INT(read_all(dir, 0), next);
		log = open_log(dir, 150);
		CHECK_INT(event_log_next(log), next);
		event_log_close(log);
	}
}

TEST("a full disk refuses the append with its reason and works again once there is room")
{
	const char *dir = new_dir();
	struct event_log *log = open_log(dir, 0);
	struct rlimit limit, small;
	struct err err = ERR_INIT;
	struct desk desk;

	desk_init(&desk);
	CHECK(append_number(log, &desk, 0));
	/* The nearest thing to a full disk: the file may not grow. */
	CHECK(sigaction(SIGXFSZ, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL) == 0);
	CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	small = limit;
	small.rlim_cur = SEGMENT_HEADER_LEN + 100; /* in the middle of the second record */
	CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(!append_number(log, &desk, 1));
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHECK(event_log_problem(log, &err));
	CHECK_CONTAINS(err.text, dir);
	CHECK_INT(event_log_next(log), 1);
	CHECK(append_number(log, &desk, 1));
	CHECK(!event_log_problem(log, &err));
	event_log_close(log);
	CHECK_INT(read_all(dir, 0), 2);
}

TEST("a process killed at any moment loses nothing that it had acknowledged")
{
	for (int round = 0; round < 6; round++) {
		const char *dir = new_dir();
		uint64_t acked = 0, offset;
		struct event_log *log;
		int pipes[2], status;
		pid_t child;

		CHECK(pipe(pipes) == 0);
		child = fork();
		if (child == 0) {
			struct desk desk;

			desk_init(&desk);
			log = open_log(dir, 2000);
			for (offset = 0;; offset++) {
				if (!append_number(log, &desk, offset) ||
					write(pipes[1], &offset, sizeof(offset)) != sizeof(offset))
					_exit(1);
			}
		}
		close(pipes[1]);
		for (int i = 0; i < 20 + round * 17; i++) {
			CHECK(read(pipes[0], &offset, sizeof(offset)) == sizeof(offset));
			acked = offset;
		}
		kill(child, SIGKILL);
		CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
		while (read(pipes[0], &offset, sizeof(offset)) == sizeof(offset))
			acked = offset;
		close(pipes[0]);
		CHECK(read_all(dir, 0) > acked); /* by a reader without a writer */
		log = open_log(dir, 2000);
		CHECK(event_log_next(log) > acked);
		event_log_close(log);
		CHECK(read_all(dir, 0) > acked);
	}
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

TEST("a log written by version 1 is read, and goes on in a segment of this version: its records are partition 0, numbered by their "
     "offsets")
{
	const char *dir = new_dir(), *source = getenv("T_DATA");
	OWN_TEXT golden = mem_textf("%s/event-log-v1.log", source ? source : "tests/data");
	OWN_TEXT path = first_segment(dir);
	struct event_log_config config = { .dir = dir, .n_partitions = 4 };
	struct err err = ERR_INIT;
	struct bytes bytes = load(golden), after;
	struct event_partition p;
	struct event_log *log;
	struct desk desk;

	desk_init(&desk);
	CHECK_OK(file_make_dir(dir, 0700, &err), err);
	store(path, bytes.data, bytes.len);
	CHECK_INT(read_all(dir, 0), 3);
	log = event_log_open(&config, &err);
	CHECK_INT(event_log_partitions(log), 4);
	event_log_partition(log, 0, &p);
	CHECK(p.begin == 0 && p.next == 3 && p.last_offset == 2);
	CHECK(append_number(log, &desk, 3));
	event_log_partition(log, 0, &p);
	CHECK(p.begin == 0 && p.next == 4 && p.last_offset == 3 && p.last_ms > 0);
	event_log_partition(log, 1, &p);
	CHECK(p.begin == 0 && p.next == 0);
	event_log_close(log);
	CHECK_INT(read_all(dir, 0), 4);
	after = load(path);
	CHECK_INT(after.len, bytes.len);
	CHECK_MEM(after.data, bytes.data, bytes.len);
	mem_free(after.data);
	mem_free(bytes.data);
}

TEST("a log of version 1 without records becomes one of this version")
{
	const char *dir = new_dir(), *source = getenv("T_DATA");
	OWN_TEXT golden = mem_textf("%s/event-log-v1.log", source ? source : "tests/data");
	OWN_TEXT path = first_segment(dir);
	struct event_log_config config = { .dir = dir, .n_partitions = 2 };
	struct err err = ERR_INIT;
	struct bytes bytes = load(golden);
	struct event_log *log;
	struct desk desk;

	desk_init(&desk);
	CHECK_OK(file_make_dir(dir, 0700, &err), err);
	store(path, bytes.data, 32);
	log = event_log_open(&config, &err);
	CHECK(log != NULL);
	CHECK(append_number(log, &desk, 0));
	event_log_close(log);
	CHECK_INT(read_all(dir, 0), 1);
	mem_free(bytes.data);
}

/* -- Partitions ------------------------------------------------------------------------------------------------------------------ */

static struct event_log *
open_partitioned(const char *dir, size_t segment_bytes, unsigned n)
{
	struct event_log_config config = { .dir = dir, .segment_bytes = segment_bytes, .n_partitions = n };
	struct err err = ERR_INIT;
	struct event_log *log = event_log_open(&config, &err);

	if (!log)
		fail_msg("%s", err.text);
	return log;
}

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
