/* SPDX-License-Identifier: Apache-2.0 */
/* The event log: what is acknowledged is there after anything that can happen to a process or a disk, and older files are read. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/segment.h"
#include "test_event_log.h"

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
