/* SPDX-License-Identifier: Apache-2.0 */
/* The event log: what is acknowledged is there after anything that can happen to a process or a disk. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

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
		*offset = one.append.offset;
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
	struct event_reader *reader = event_reader_open(dir, 0, &err);
	const uint8_t *data;
	uint64_t offset;
	size_t len;
	int got = reader ? 1 : -1;

	while (got == 1)
		got = event_reader_next(reader, &offset, &data, &len, &err);
	event_reader_close(reader);
	CHECK_INT(got, -1);
	CHECK(strstr(err.text, part) != NULL);
}

/* Read all from an offset on: the records must be numbered without a gap.  Returns the offset after the last one. */
static uint64_t
read_all(const char *dir, uint64_t from)
{
	struct err err = ERR_INIT;
	struct event_reader *reader = event_reader_open(dir, from, &err);
	const uint8_t *data;
	uint64_t offset, next = from;
	char text[64];
	size_t len;
	int got;

	if (!reader)
		fail_msg("%s", err.text);
	while ((got = event_reader_next(reader, &offset, &data, &len, &err)) == 1) {
		CHECK_INT(offset, next);
		CHECK_INT(len, record_text(text, sizeof(text), offset));
		CHECK_MEM(data, text, len);
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
	struct event_reader *reader = event_reader_open(dir, 0, &err);
	const uint8_t *data;
	struct desk desk;
	uint64_t offset;
	size_t len;

	desk_init(&desk);
	for (uint64_t i = 0; i < 20; i++) {
		CHECK_INT(event_reader_next(reader, &offset, &data, &len, &err), 0);
		CHECK(append_number(log, &desk, i));
		CHECK_INT(event_reader_next(reader, &offset, &data, &len, &err), 1);
		CHECK_INT(offset, i);
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
		CHECK_INT(ones[i].append.offset, i);
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
		segment_seal(bytes->data + at, len, next + back, back, salt);
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
	segment_seal(forged, 4, 4, 0, 0); /* its author does not know the salt */
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
	whole.data[11] = 2;
	store(path, whole.data, whole.len);
	open_fails(dir, ERR_INVALID, "version 2");
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
	small.rlim_cur = 100; /* in the middle of the second record */
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
	struct event_log_config config = { .dir = dir, .max_bytes = 2000 };
	struct err err = ERR_INIT;
	struct event_reader *late;
	struct event_log *log = event_log_open(&config, &err);
	const uint8_t *data;
	uint64_t offset = 0, first;
	struct desk desk;
	size_t len;

	desk_init(&desk);
	CHECK(log != NULL);
	CHECK(append_number(log, &desk, 0));
	late = event_reader_open(dir, 0, &err);
	CHECK_INT(event_reader_next(late, &offset, &data, &len, &err), 1);
	for (uint64_t i = 1; i < 200; i++)
		CHECK(append_number(log, &desk, i));
	first = event_log_first(log);
	CHECK(first > 100);
	CHECK(event_log_bytes(log) <= 2000);
	while (event_reader_next(late, &offset, &data, &len, &err) == 1)
		;
	CHECK_INT(err.kind, ERR_NONE);
	CHECK_INT(offset, 199);
	event_reader_close(late);
	event_log_close(log);
	CHECK_INT(read_all(dir, first), 200);
}

TEST("a queue refuses when it is full and takes more once its consumer forgot a segment")
{
	const char *dir = new_dir();
	struct event_log_config config = { .dir = dir, .max_bytes = 2000, .refuse_when_full = true };
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

TEST("a log written by version 1 is read")
{
	const char *dir = new_dir(), *source = getenv("T_DATA");
	OWN_TEXT golden = mem_textf("%s/event-log-v1.log", source ? source : "tests/data");
	OWN_TEXT path = first_segment(dir);
	struct err err = ERR_INIT;
	struct bytes bytes = load(golden);

	CHECK_OK(file_make_dir(dir, 0700, &err), err);
	store(path, bytes.data, bytes.len);
	CHECK_INT(read_all(dir, 0), 3);
	event_log_close(open_log(dir, 0));
	CHECK_INT(read_all(dir, 0), 3);
	mem_free(bytes.data);
}
