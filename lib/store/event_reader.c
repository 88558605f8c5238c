/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the event log by offset, in the writer's process or another.  While a writer holds the folder only what it has published as durable is
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

#define CHUNK (256u << 10)

struct event_reader {
	char *dir, *path; /* path: of the open segment */
	uint8_t *window;  /* bytes of the segment from window_pos on */
	size_t window_len, window_room;
	uint64_t window_pos, pos;      /* pos: of the record `next` in the segment */
	uint64_t first, next, durable; /* first: of the open segment */
	int fd, lock_fd;
	uint32_t salt;
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

/* Make the segment that begins at `first` the open one: 1 done, 0 it has no header yet. */
static int
open_segment(struct event_reader *reader, uint64_t first, struct err *err)
{
	char name[SEGMENT_NAME_LEN];
	OWN_TEXT path = file_join(reader->dir, segment_name(first, name));
	uint8_t header[SEGMENT_HEADER_LEN + 1]; /* with records behind it, a header that can't be read is damage */
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), ok;
	uint32_t salt = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "cannot open %s", path);
	got = pread(fd, header, sizeof(header), 0);
	ok = segment_check_header(header, got < 0 ? 0 : (size_t)got, first, path, &salt, err);
	if (ok <= 0) {
		close(fd);
		return ok;
	}
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = fd;
	mem_free(reader->path);
	reader->path = GIVE(path);
	reader->salt = salt;
	reader->first = reader->next = first;
	reader->pos = reader->window_pos = SEGMENT_HEADER_LEN;
	reader->window_len = 0;
	return 1;
}

/* The segment that holds `from`, or the first one behind it: 1, 0 when there is none yet. */
static int
find_segment(struct event_reader *reader, uint64_t from, struct err *err)
{
	uint64_t *firsts = NULL, first = 0;
	size_t n = 0, at = 0;

	if (segment_list(reader->dir, &firsts, &n, err) < 0)
		return -1;
	while (at + 1 < n && firsts[at + 1] <= from)
		at++;
	if (n > 0)
		first = firsts[at];
	mem_free(firsts);
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
	memmove(reader->window, reader->window + skip, reader->window_len - skip);
	reader->window_len -= skip;
	reader->window_pos = reader->pos;
	if (reader->window_room < want) {
		reader->window_room = want;
		reader->window = mem_resize(reader->window, want);
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

	return segment_cut(record, reader->window + skip, reader->window_len - skip, reader->next, reader->salt);
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
	while (at < n && firsts[at] <= reader->first)
		ours_is_there = ours_is_there || firsts[at++] == reader->first;
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

int
event_reader_next(struct event_reader *reader, uint64_t *offset, const uint8_t **data, size_t *len, struct err *err)
{
	struct segment_record record;
	bool bad = false;
	int got, moved;

	for (;;) {
		if (reader->fd < 0 && (moved = find_segment(reader, reader->next, err)) <= 0)
			return moved;
		if (!may_read(reader))
			return 0;
		got = read_record(reader, &record, &bad, err);
		if (got != 0)
			break;
		moved = on_no_record(reader, bad, err);
		if (moved <= 0)
			return moved;
	}
	if (got < 0)
		return -1;
	*offset = record.offset;
	*data = record.data;
	*len = record.len;
	reader->pos += record.size;
	reader->next++;
	return 1;
}

struct event_reader *
event_reader_open(const char *dir, uint64_t from, struct err *err)
{
	struct event_reader *reader = NEW(event_reader);
	const uint8_t *data;
	uint64_t offset;
	size_t len;
	int got = 0;

	reader->dir = mem_text(dir);
	reader->fd = reader->lock_fd = -1;
	reader->next = from;
	reader->window_room = CHUNK;
	reader->window = mem_new(CHUNK);
	got = find_segment(reader, from, err);
	while (got == 1 && reader->next < from)
		got = event_reader_next(reader, &offset, &data, &len, err);
	if (got < 0) {
		event_reader_close(reader);
		return NULL;
	}
	return reader;
}
