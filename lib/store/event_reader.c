/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the event log, in the writer's process or another.  While a writer holds the folder only what it has published as durable is
 * seen; otherwise all whole records are.  Segments that retention removed under a reader are skipped. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/event_log.h"
#include "store/segment.h"
#include "store/segment_tip.h"

#define CHUNK (128u << 10)

struct event_reader {
	char *dir, *path; /* path: of the open segment */
	uint8_t *window;  /* bytes of the segment from window_pos on */
	size_t window_len, window_room;
	uint64_t window_pos, pos; /* pos: of the record `next` in the segment */
	uint64_t next, durable;
	struct segment_head head; /* of the open segment */
	int fd, lock_fd;
};

void
event_reader_close(struct event_reader *reader)
{
	if (!reader)
		return;
	if (reader->fd >= 0)
		close(reader->fd);
	if (reader->lock_fd >= 0)
		close(reader->lock_fd);
	mem_free(reader->window);
	mem_free(reader->path);
	mem_free(reader->dir);
	mem_free(reader);
}

/* Open a segment and read its header: 1 done, 0 it is not there or has no header yet. */
static int
read_head(const struct event_reader *reader, uint64_t first, struct segment_head *head, int *fd, char **path, struct err *err)
{
	uint8_t bytes[SEGMENT_HEADER_LEN + 1]; /* with records behind it, a header that can't be read is damage */
	char name[SEGMENT_NAME_LEN];
	OWN_TEXT at = file_join(reader->dir, segment_name(first, name));
	ssize_t got;
	int ok;

	*fd = open(at, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "cannot open %s", at);
	got = pread(*fd, bytes, sizeof(bytes), 0);
	ok = segment_check_header(head, bytes, got < 0 ? 0 : (size_t)got, first, at, err);
	if (ok <= 0) {
		close(*fd);
		return ok;
	}
	*path = GIVE(at);
	return 1;
}

/* Make the segment that begins at `first` the open one: 1 done, 0 it has no header yet. */
static int
open_segment(struct event_reader *reader, uint64_t first, struct err *err)
{
	struct segment_head head;
	char *path = NULL;
	int fd, ok = read_head(reader, first, &head, &fd, &path, err);

	if (ok <= 0)
		return ok;
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = fd;
	mem_free(reader->path);
	reader->path = path;
	reader->head = head;
	reader->next = first;
	reader->pos = reader->window_pos = segment_header_len(&head);
	reader->window_len = 0;
	return 1;
}

static bool
is_in_group(const struct event_start *start, unsigned partition)
{
	return !start->in_group || start->in_group[partition];
}

static bool
group_is_behind(const struct event_start *start, const struct segment_head *head)
{
	for (unsigned i = 0; i < head->n_partitions; i++)
		if (is_in_group(start, i) && head->tally[i].next > start->group[i])
			return false;
	return true;
}

/* Does the segment begin before what is sought, or at it?  Its name says so for an offset: a header that is damaged is no concern of who reads elsewhere.  A segment
 * that retention has just removed is before anything.  1, 0, or -1. */
static int
is_before(const struct event_reader *reader, uint64_t first, const struct event_start *start, struct err *err)
{
	struct segment_head head;
	char *path = NULL;
	int fd, ok;

	if (start->kind == EVENT_AT_OFFSET)
		return first <= start->value;
	ok = read_head(reader, first, &head, &fd, &path, err);
	if (ok <= 0)
		return ok < 0 ? -1 : 1;
	close(fd);
	mem_free(path);
	if (start->kind == EVENT_AT_TIME)
		return (uint64_t)head.begun_ms < start->value;
	if (start->kind == EVENT_AT_GROUP)
		return group_is_behind(start, &head);
	return start->partition >= head.n_partitions || head.tally[start->partition].next <= start->value;
}

static int
find_among(
	struct event_reader *reader, const uint64_t *firsts, size_t n, const struct event_start *start, size_t *at, struct err *err)
{
	size_t high = n, middle;
	int before;

	*at = 0;
	while (high - *at > 1) {
		middle = *at + (high - *at) / 2;
		before = is_before(reader, firsts[middle], start, err);
		if (before < 0)
			return -1;
		*(before ? at : &high) = middle;
	}
	return 0;
}

/* The segment that holds what is sought, or the first one behind it: 1, 0 when there is none yet. */
static int
find_segment(struct event_reader *reader, const struct event_start *start, struct err *err)
{
	uint64_t *firsts = NULL, first = 0;
	size_t n = 0, at = 0;
	int done = segment_list(reader->dir, &firsts, &n, err);

	if (done == 0 && n > 0)
		done = find_among(reader, firsts, n, start, &at, err);
	if (done == 0 && n > 0)
		first = firsts[at];
	mem_free(firsts);
	if (done < 0)
		return -1;
	return n > 0 ? open_segment(reader, first, err) : 0;
}

/* Have `want` bytes of the segment from pos on in the window, or all there are. */
static int
fill_window(struct event_reader *reader, size_t want, struct err *err)
{
	size_t skip = (size_t)(reader->pos - reader->window_pos);
	ssize_t got;

	if (reader->window_len - skip >= want)
		return 0;
	if (reader->window_len > skip)
		memmove(reader->window, reader->window + skip, reader->window_len - skip);
	reader->window_len -= skip;
	reader->window_pos = reader->pos;
	if (reader->window_room < want || !reader->window) {
		reader->window_room = want < CHUNK ? CHUNK : want;
		reader->window = mem_resize(reader->window, reader->window_room);
	}
	while (reader->window_len < want) {
		got = pread(reader->fd, reader->window + reader->window_len, reader->window_room - reader->window_len,
			(off_t)(reader->window_pos + reader->window_len));
		if (got < 0)
			return err_errno(err, "cannot read %s", reader->path);
		if (got == 0)
			break;
		reader->window_len += (size_t)got;
	}
	return 0;
}

static enum segment_cut
cut_next(struct event_reader *reader, struct segment_record *record)
{
	size_t skip = (size_t)(reader->pos - reader->window_pos);

	return segment_cut(record, reader->window + skip, reader->window_len - skip, reader->next, &reader->head);
}

/* 1: a record; 0: the bytes end, or end in something that is no record. */
static int
read_record(struct event_reader *reader, struct segment_record *record, bool *bad, struct err *err)
{
	enum segment_cut cut = cut_next(reader, record);

	for (int tries = 0; cut == SEGMENT_CUT_MORE && tries < 2; tries++) {
		if (fill_window(reader, record->size, err) < 0)
			return -1;
		cut = cut_next(reader, record);
	}
	*bad = cut == SEGMENT_CUT_BAD || (cut == SEGMENT_CUT_MORE && reader->window_pos + reader->window_len > reader->pos);
	return cut == SEGMENT_CUT_DONE;
}

/* Nothing is read beyond what is durable while somebody writes: it might still be taken back. */
static bool
may_read(struct event_reader *reader)
{
	if (reader->next < reader->durable)
		return true;
	if (reader->lock_fd < 0)
		reader->lock_fd = segment_tip_lock_open(reader->dir);
	if (reader->lock_fd < 0 || !segment_tip_durable(reader->lock_fd, &reader->durable))
		return true;
	return reader->next < reader->durable || !segment_tip_is_held(reader->lock_fd);
}

enum onward { ONWARD_END, ONWARD_FOUND, ONWARD_MISSING, ONWARD_FAILED };

/* The segment is at its end.  Find where the log goes on: the segment that begins here; or, where retention has overtaken this reader, a later
 * one.  Retention removes in order: when our segment is still there, so is the one that begins here. */
static enum onward
find_onward(const struct event_reader *reader, uint64_t *first, struct err *err)
{
	uint64_t *firsts = NULL;
	size_t n = 0, at = 0;
	bool ours_is_there = false;
	enum onward found = ONWARD_END;

	if (segment_list(reader->dir, &firsts, &n, err) < 0)
		return ONWARD_FAILED;
	while (at < n && firsts[at] <= reader->head.first)
		ours_is_there = ours_is_there || firsts[at++] == reader->head.first;
	if (at < n) {
		*first = firsts[at];
		found = *first == reader->next || (*first > reader->next && !ours_is_there) ? ONWARD_FOUND : ONWARD_MISSING;
	}
	mem_free(firsts);
	return found;
}

static int
damage(const struct event_reader *reader, struct err *err)
{
	return err_set(err, ERR_BROKEN, "%s is damaged at offset %llu (record %llu)", reader->path, (unsigned long long)reader->pos,
		(unsigned long long)reader->next);
}

/* No record at pos.  With a later segment there, or below what is durable, it must be the end of a segment; otherwise it is the end of all. */
static int
on_no_record(struct event_reader *reader, bool bad, struct err *err)
{
	uint64_t first = 0;
	enum onward onward = find_onward(reader, &first, err);

	if (onward == ONWARD_FAILED)
		return -1;
	if (onward == ONWARD_MISSING || (bad && onward == ONWARD_FOUND) || (onward == ONWARD_END && reader->next < reader->durable))
		return damage(reader, err);
	return onward == ONWARD_FOUND ? open_segment(reader, first, err) : 0;
}

static bool
is_reached(const struct event_start *start, const struct event_place *place)
{
	switch (start->kind) {
	case EVENT_AT_OFFSET:
		return place->offset >= start->value;
	case EVENT_AT_SEQUENCE:
		return place->partition == start->partition && place->sequence >= start->value;
	case EVENT_AT_GROUP:
		return is_in_group(start, place->partition) && place->sequence >= start->group[place->partition];
	default:
		return (uint64_t)place->time_ms >= start->value;
	}
}

/* 1: a record, which is the next one still. */
static int
peek(struct event_reader *reader, struct segment_record *record, struct err *err)
{
	const struct event_start where_it_was = { .kind = EVENT_AT_OFFSET, .value = reader->next };
	bool bad = false;
	int got, moved;

	for (;;) {
		if (reader->fd < 0 && (moved = find_segment(reader, &where_it_was, err)) <= 0)
			return moved;
		if (!may_read(reader))
			return 0;
		got = read_record(reader, record, &bad, err);
		if (got != 0)
			return got;
		moved = on_no_record(reader, bad, err);
		if (moved <= 0)
			return moved;
	}
}

static void
skip(struct event_reader *reader, const struct segment_record *record)
{
	reader->pos += record->size;
	reader->next++;
}

int
event_reader_next(struct event_reader *reader, struct event_record *out, struct err *err)
{
	struct segment_record record;
	int got = peek(reader, &record, err);

	if (got <= 0)
		return got;
	*out = (struct event_record){ .place = record.place, .data = record.data, .len = record.len };
	skip(reader, &record);
	return 1;
}

uint64_t
event_reader_offset(const struct event_reader *reader)
{
	return reader->next;
}

void
event_reader_rest(struct event_reader *reader)
{
	mem_free(reader->window);
	reader->window = NULL;
	reader->window_pos = reader->pos;
	reader->window_len = reader->window_room = 0;
}

struct event_reader *
event_reader_open(const char *dir, const struct event_start *start, struct err *err)
{
	struct event_reader *reader = NEW(event_reader);
	struct segment_record record;
	int got;

	reader->dir = mem_text(dir);
	reader->fd = reader->lock_fd = -1;
	got = find_segment(reader, start, err);
	if (got == 0 && start->kind == EVENT_AT_OFFSET)
		reader->next = start->value; /* there is nothing yet */
	while (got == 1 && (got = peek(reader, &record, err)) == 1 && !is_reached(start, &record.place))
		skip(reader, &record);
	if (got < 0) {
		event_reader_close(reader);
		return NULL;
	}
	return reader;
}
