/* SPDX-License-Identifier: Apache-2.0 */
/* Where the reader is, on disk: the log's cursor, and beside it how far the lines are that are behind (queue_lines.h); from there it begins again. */
#include "gateway/queue/queue_reader_inside.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "gateway/queue/queue_lines.h"

#define ID_NAME "id"

/* All below is done, but for the lines that are behind. */
static uint64_t
frontier(const struct queue_reader *r)
{
	uint64_t lowest = r->ahead.next;
	size_t at = 0;
	void *value;

	while (map_next(r->lines, &at, NULL, NULL, &value)) {
		const struct queue_line *line = value;

		if (!line->is_behind && line->oldest && line->oldest->offset < lowest)
			lowest = line->oldest->offset;
	}
	return lowest > r->floor ? lowest : r->floor;
}

static uint64_t
lowest_of(const struct queue_reader *r, uint64_t lowest)
{
	for (const struct queue_line *line = r->behind; line; line = line->next)
		if (queue_line_position(line) < lowest)
			lowest = queue_line_position(line);
	return lowest > r->floor ? lowest : r->floor;
}

/* Of one that was behind before a restart, and is not now, more may be done than the first reading has come to. */
static struct queue_lines *
lines_of(const struct queue_reader *r, uint64_t front)
{
	struct queue_lines *lines = queue_lines_new(front);
	size_t at = 0;
	void *value;

	while (map_next(r->lines, &at, NULL, NULL, &value)) {
		const struct queue_line *line = value;

		if (line->is_behind)
			queue_lines_add(lines, line->name, queue_line_position(line));
		else if (line->done_below > front)
			queue_lines_add(lines, line->name, line->done_below);
	}
	return lines;
}

struct queue_position *
queue_reader_position(struct queue_reader *r)
{
	uint64_t front = frontier(r), cursor = lowest_of(r, front);
	bool has_lines = r->has_moved && (r->behind || r->has_lines_file);
	struct queue_position *p;

	r->has_moved = false;
	if (!has_lines && cursor == r->cursor)
		return NULL;
	p = NEW(queue_position);
	p->dir = mem_text(r->dir);
	p->lines = has_lines ? lines_of(r, front) : NULL;
	p->cursor = cursor;
	p->is_cursor_new = cursor != r->cursor;
	return p;
}

/* Where the lines are goes first: with an older cursor it says the same. */
int
queue_position_save(const struct queue_position *p, struct err *err)
{
	if (p->lines && queue_lines_save(p->lines, p->dir, err) < 0)
		return err_wrap(err, "the positions in the queue");
	if (p->is_cursor_new && event_cursor_save(p->dir, QUEUE_CURSOR, p->cursor, err) < 0)
		return err_wrap(err, "the position in the queue");
	return 0;
}

void
queue_reader_saved(struct queue_reader *r, const struct queue_position *p, bool ok)
{
	r->has_moved = r->has_moved || !ok;
	if (!ok)
		return;
	if (p->lines)
		r->has_lines_file = queue_lines_has_any(p->lines);
	if (!p->is_cursor_new)
		return;
	r->cursor = p->cursor;
	event_log_forget_below(r->config.log, r->cursor);
}

void
queue_position_free(struct queue_position *p)
{
	if (!p)
		return;
	queue_lines_free(p->lines);
	mem_free(p->dir);
	mem_free(p);
}

/* A line that was behind when it was saved, and waits for its first round. */
static void
restore_line(void *arg, const char *name, uint64_t from)
{
	struct queue_reader *r = arg;
	struct queue_line *line = map_find_text(r->lines, name);

	if (line)
		return;
	line = queue_line_make(r, name, strlen(name));
	line->done_below = from;
	queue_line_fall_behind(r, line, from > r->cursor ? from : r->cursor);
	queue_line_set_room(r, line, true);
}

/* How many are left of the lines that are behind. */
static int
count_skipped(struct queue_reader *r, struct err *err)
{
	struct event_reader *reader = event_reader_open(r->dir, &(struct event_start){ .value = r->cursor }, err);
	struct message m;
	uint64_t offset = 0;
	int got = reader ? 1 : -1;

	while (got == 1 && (got = queue_reading_read(reader, &m, &offset, false, err)) == 1 && offset < r->ahead.next) {
		struct queue_line *line = queue_line_find(r, &m);

		if (!line || !line->is_behind || offset < line->from)
			continue;
		line->n_skipped++;
		r->n_held++;
	}
	event_reader_close(reader);
	return got < 0 ? -1 : 0;
}

static int
restore(struct queue_reader *r, struct err *err)
{
	uint64_t front = 0;

	if (event_cursor_load(r->dir, QUEUE_CURSOR, &r->cursor, err) < 0)
		return -1;
	r->ahead.next = r->cursor;
	if (queue_lines_load(r->dir, r->cursor, &front, restore_line, r)) {
		r->ahead.next = front;
		r->has_lines_file = true;
		if (count_skipped(r, err) < 0)
			return -1;
	}
	r->n_read = r->ahead.next;
	return queue_reading_open(r, &r->ahead, r->ahead.next, err);
}

/* Made with the log, before anything of it is sent; what was saved from a damaged log is in a folder of its own, and another one. */
static int
open_id(struct queue_reader *r, struct err *err)
{
	OWN_TEXT path = file_join(r->dir, ID_NAME);
	CLEAR(buf) text = BUF_INIT(MESSAGE_MARK_LOG_LEN);

	if (file_exists(path) && file_load(&text, path, err) < 0)
		return -1;
	if (text.len == MESSAGE_MARK_LOG_LEN) {
		memcpy(r->id, text.data, text.len);
		return 0;
	}
	snprintf(r->id, sizeof(r->id), "%016llx", (unsigned long long)random_u64());
	return file_save(path, r->id, MESSAGE_MARK_LOG_LEN, 0600, err);
}

struct queue_reader *
queue_reader_open(const struct queue_reader_config *config, struct err *err)
{
	struct queue_reader *r = NEW(queue_reader);

	r->config = *config;
	r->dir = mem_text(config->dir);
	r->lines = map_new_keys_in_values();
	if (open_id(r, err) == 0 && restore(r, err) == 0) {
		event_log_forget_below(config->log, r->cursor); /* a crash may have come between the cursor and that */
		return r;
	}
	queue_reader_close(r);
	return NULL;
}

void
queue_reader_close(struct queue_reader *r)
{
	struct err err = ERR_INIT;
	struct queue_position *position = r && r->ahead.reader ? queue_reader_position(r) : NULL;

	if (position && queue_position_save(position, &err) < 0)
		log_error("%s", err.text);
	queue_position_free(position);
	queue_reader_discard(r);
}

void
queue_reader_discard(struct queue_reader *r)
{
	size_t at = 0;
	void *value;

	if (!r)
		return;
	while (map_next(r->lines, &at, NULL, NULL, &value)) {
		struct queue_line *line = value;

		while (line->oldest)
			queued_give_back(line->oldest);
		queue_line_free(line);
	}
	map_free(r->lines);
	queue_reading_close(&r->ahead);
	queue_reading_close(&r->again);
	mem_free(r->dir);
	mem_free(r);
}
