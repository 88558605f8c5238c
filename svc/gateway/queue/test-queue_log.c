/* SPDX-License-Identifier: Apache-2.0 */
/* The queue at the start: whole, or what can be read of a damaged one. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/text.h"
#include "gateway/queue/queue_log.h"
#include "gateway/queue/test_queue.h"
#include "store/segment.h"

#define SEGMENT 2200 /* seven or so messages */

/* 20 messages in several segments. */
static char *
queue_of_20(const char *name)
{
	char *dir = fresh_dir(name);

	event_log_close(log_with(dir, SEGMENT, 20));
	return dir;
}

/* The first offset of the n-th segment, and its path. */
static char *
segment_path(const char *dir, size_t n, uint64_t *first)
{
	char name[SEGMENT_NAME_LEN];
	struct err err = ERR_INIT;
	uint64_t *firsts;
	size_t n_segments;

	CHECK_OK(segment_list(dir, &firsts, &n_segments, &err), err);
	CHECK(n_segments >= 3 && n < n_segments);
	*first = firsts[n];
	mem_free(firsts);
	return file_join(dir, segment_name(*first, name));
}

static void
change(const char *path, off_t at, char mask)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char c;

	CHECK(pread(fd, &c, 1, at) == 1);
	c ^= mask;
	CHECK(pwrite(fd, &c, 1, at) == 1);
	close(fd);
}

static void
flip(const char *path, off_t at)
{
	change(path, at, 1);
}

static size_t
size_of(const struct queued *q)
{
	return queue_share_size(&(struct message){
		.device_id = slice_of(q->device_id),
		.generation_id = slice_of(q->generation_id),
		.bag = slice_of(q->bag),
		.payload = { (const char *)q->payload, q->len },
	});
}

/* The numbers that the queue gives, as text; it knows of as many that wait. */
static char *
numbers_in(const char *dir)
{
	struct err err = ERR_INIT;
	OWN(queue_share) waiting = queue_share_new("edge");
	struct message_log *log = queue_log_open(dir, SEGMENT, waiting, &err);
	struct queue_places places = { .n_max = 4096, .bytes_max = 1 << 20 };
	struct queue_reader *reader;
	struct buf text = BUF_INIT(4096);
	struct queued *q;
	size_t bytes = 0;

	if (!log)
		fail_msg("%s", err.text);
	reader = reader_of(dir, message_log_records(log), &places);
	while ((q = next_of(reader))) {
		buf_putf(&text, "%d ", number_of(q));
		bytes += size_of(q);
	}
	CHECK_INT(queue_share_waiting(waiting, queue_share_sender(waiting, slice_of("dev1"), slice_of(""))), bytes);
	queue_reader_close(reader);
	message_log_free(log);
	return buf_take_text(&text);
}

static size_t
n_set_aside(const char *dir)
{
	DIR *parent = opendir(T_TMPDIR);
	const char *base = strrchr(dir, '/') + 1;
	struct dirent *entry;
	size_t n = 0;

	while ((entry = readdir(parent)))
		n += strncmp(entry->d_name, base, strlen(base)) == 0 && strstr(entry->d_name, ".damaged-") != NULL;
	closedir(parent);
	return n;
}

#define ALL "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 "

TEST("a queue that is whole has all of its messages, and nothing is set aside")
{
	OWN_TEXT dir = queue_of_20("whole");
	OWN_TEXT numbers = numbers_in(dir);

	CHECK_STR(numbers, ALL);
	CHECK_INT(n_set_aside(dir), 0);
}

TEST("a queue that is not there yet is made")
{
	OWN_TEXT dir = fresh_dir("new");
	OWN_TEXT numbers = numbers_in(dir);

	CHECK_STR(numbers, "");
}

TEST("of a queue with damage in the middle of a segment all is saved but the rest of that segment")
{
	OWN_TEXT dir = queue_of_20("middle");
	uint64_t first, next;
	OWN_TEXT path = segment_path(dir, 1, &first);
	struct buf wanted = BUF_INIT(4096);
	struct stat st;
	OWN_TEXT numbers = NULL;

	mem_free(segment_path(dir, 2, &next));
	CHECK(stat(path, &st) == 0);
	flip(path, st.st_size - 3); /* its last message */
	numbers = numbers_in(dir);
	for (uint64_t i = 0; i < 20; i++)
		if (i != next - 1)
			buf_putf(&wanted, "%llu ", (unsigned long long)i);
	CHECK_STR(numbers, buf_text(&wanted));
	CHECK_INT(n_set_aside(dir), 1);
	buf_clear(&wanted);
}

TEST("a segment without its header is left out, and the others are saved")
{
	OWN_TEXT dir = queue_of_20("header");
	uint64_t first, next;
	OWN_TEXT path = segment_path(dir, 1, &first);
	struct buf wanted = BUF_INIT(4096);
	OWN_TEXT numbers = NULL;

	mem_free(segment_path(dir, 2, &next));
	flip(path, 3);
	numbers = numbers_in(dir);
	for (uint64_t i = 0; i < 20; i++)
		if (i < first || i >= next)
			buf_putf(&wanted, "%llu ", (unsigned long long)i);
	CHECK_STR(numbers, buf_text(&wanted));
	buf_clear(&wanted);
}

TEST("with a damaged position all messages come, rather twice than not at all")
{
	OWN_TEXT dir = queue_of_20("position");
	OWN_TEXT cursor = file_join(dir, QUEUE_CURSOR ".cursor");
	struct err err = ERR_INIT;
	OWN_TEXT numbers = NULL;

	CHECK_OK(file_save(cursor, "1x\n", 3, 0600, &err), err);
	numbers = numbers_in(dir);
	CHECK_STR(numbers, ALL);
	CHECK_INT(n_set_aside(dir), 1);
}

TEST("what was sent already is not saved from a damaged queue")
{
	OWN_TEXT dir = queue_of_20("sent");
	uint64_t first;
	OWN_TEXT path = segment_path(dir, 2, &first);
	struct err err = ERR_INIT;
	OWN_TEXT numbers = NULL;
	OWN_TEXT oldest = NULL;

	CHECK_OK(event_cursor_save(dir, QUEUE_CURSOR, first - 2, &err), err);
	flip(path, SEGMENT_HEADER_LEN + SEGMENT_RECORD_LEN + 1);
	numbers = numbers_in(dir);
	oldest = mem_textf("%llu ", (unsigned long long)first - 2);
	CHECK(text_starts(numbers, oldest));
	CHECK_INT(n_set_aside(dir), 1);
}

TEST("a queue whose end has gone is said so, and the rest is saved")
{
	OWN_TEXT dir = queue_of_20("end");
	uint64_t first;
	OWN_TEXT path = segment_path(dir, 2, &first);
	OWN_TEXT numbers = NULL;
	struct stat st;

	CHECK(stat(path, &st) == 0);
	CHECK(truncate(path, st.st_size - 3) == 0);
	numbers = numbers_in(dir);
	CHECK_CONTAINS(numbers, "0 1 2 3 ");
	CHECK_INT(n_set_aside(dir), 1);
}

TEST("a queue of a newer version is refused and left untouched")
{
	OWN_TEXT dir = queue_of_20("newer");
	uint64_t first;
	OWN_TEXT path = segment_path(dir, 2, &first);
	struct err err = ERR_INIT;

	change(path, 11, 0x40); /* of the version */
	CHECK(!queue_log_open(dir, SEGMENT, NULL, &err));
	CHECK_ERR(err, ERR_INVALID, "version 66");
	CHECK_INT(n_set_aside(dir), 0);
}

TEST("a queue with a message of a newer version is refused and left untouched")
{
	OWN_TEXT dir = fresh_dir("newer-message");
	struct event_log *log = log_with(dir, SEGMENT, 3);
	struct err err = ERR_INIT;

	store_bytes(log, "\x04\x00\x00", 3);
	event_log_close(log);
	CHECK(!queue_log_open(dir, SEGMENT, NULL, &err));
	CHECK_ERR(err, ERR_INVALID, "version 4");
	CHECK_INT(n_set_aside(dir), 0);
}

TEST("a crash between setting the damaged queue aside and taking the saved one is made good")
{
	OWN_TEXT dir = queue_of_20("crash");
	OWN_TEXT saved = mem_textf("%s.saved", dir);
	OWN_TEXT numbers = NULL;

	CHECK(rename(dir, saved) == 0);
	numbers = numbers_in(dir);
	CHECK_STR(numbers, ALL);
}
