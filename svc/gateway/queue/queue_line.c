/* SPDX-License-Identifier: Apache-2.0 */
/* Who sends: how many of a line's messages are in memory, and whether it is behind. */
#include "gateway/queue/queue_reader_inside.h"

#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"

#define IDLE_LINES_MAX 256

/* A device's is its id, as it stands in the message: this is asked for each message. */
struct slice
queue_line_name(bool one_line, const struct message *m, char room[static QUEUE_LINE_NAME_MAX])
{
	int len;

	if (one_line)
		return (struct slice){ .text = "" };
	if (m->module_id.len == 0)
		return m->device_id;
	len = snprintf(room, QUEUE_LINE_NAME_MAX, "%.*s/%.*s", SLICE_FMT(m->device_id), SLICE_FMT(m->module_id));
	return (struct slice){ .text = room, .len = len < QUEUE_LINE_NAME_MAX ? (size_t)len : QUEUE_LINE_NAME_MAX - 1 };
}

struct queue_line *
queue_line_find(const struct queue_reader *r, const struct message *m)
{
	char room[QUEUE_LINE_NAME_MAX];
	struct slice name = queue_line_name(r->config.one_line, m, room);

	return map_find(r->lines, name.text, name.len);
}

struct queue_line *
queue_line_make(struct queue_reader *r, const char *name, size_t len)
{
	struct queue_line *line = NEW(queue_line);

	line->name = mem_textn(name, len);
	map_put(r->lines, line->name, len, line);
	return line;
}

struct queue_line *
queue_line_get(struct queue_reader *r, const struct message *m)
{
	char room[QUEUE_LINE_NAME_MAX];
	struct slice name = queue_line_name(r->config.one_line, m, room);
	struct queue_line *line = map_find(r->lines, name.text, name.len);

	return line ? line : queue_line_make(r, name.text, name.len);
}

void
queue_line_free(struct queue_line *line)
{
	mem_free(line->name);
	mem_free(line);
}

/* Some stay, for whoever sends one message after the other. */
void
queue_line_forget_if_idle(struct queue_reader *r, struct queue_line *line)
{
	if (line->n > 0 || line->is_behind || line->done_below > r->ahead.next || map_count(r->lines) <= IDLE_LINES_MAX)
		return;
	map_remove_text(r->lines, line->name);
	queue_line_free(line);
}

/* The first of its messages that is not done. */
uint64_t
queue_line_position(const struct queue_line *line)
{
	return line->oldest && (!line->is_behind || line->oldest->offset < line->from) ? line->oldest->offset : line->from;
}

void
queue_line_set_room(struct queue_reader *r, struct queue_line *line, bool has_room)
{
	r->n_room += (size_t)has_room;
	r->n_room -= (size_t)line->has_room;
	line->has_room = has_room;
}

void
queue_line_set_called(struct queue_reader *r, struct queue_line *line, bool is_called)
{
	r->n_called += (size_t)is_called;
	r->n_called -= (size_t)line->is_called;
	line->is_called = is_called;
}

void
queue_line_fall_behind(struct queue_reader *r, struct queue_line *line, uint64_t from)
{
	line->is_behind = true;
	line->from = from;
	line->low = line->n / 2;
	line->next = r->behind;
	line->link = &r->behind;
	if (line->next)
		line->next->link = &line->next;
	r->behind = line;
}

void
queue_line_catch_up(struct queue_reader *r, struct queue_line *line)
{
	queue_line_set_room(r, line, false);
	queue_line_set_called(r, line, false);
	line->is_behind = false;
	*line->link = line->next;
	if (line->next)
		line->next->link = line->link;
	if (r->drop)
		queue_drop_note_caught_up(r->drop, line);
	r->n_held -= line->n_skipped;
	line->n_skipped = 0;
	queue_line_forget_if_idle(r, line);
}

/* It has room again: for this round, if that has not passed its place. */
void
queue_line_call(struct queue_reader *r, struct queue_line *line)
{
	queue_line_set_room(r, line, true);
	if (r->is_round && line->from >= r->again.next)
		queue_line_set_called(r, line, true);
}
