/* SPDX-License-Identifier: Apache-2.0 */
/* Making room: the oldest segment of the log goes, with what is in it, and the readings go on behind it.  How much that is of what nobody has read yet is known; how much of those who are behind
 * stands on the disk alone, so the segment stays until that was counted.  Meanwhile lines go on: what they were when it began is in the drop. */
#include "gateway/queue/queue_reader_inside.h"

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

/* A line that was behind when it began. */
struct loss {
	char *name;
	uint64_t from;
	size_t n;	 /* the counter's */
	bool is_settled; /* the reader's: it has caught up */
};

struct queue_drop {
	char *dir;
	bool one_line;
	uint64_t from, end; /* where those are that are to be counted */
	uint64_t floor;
	size_t n_unread;
	struct map *losses;
};

/* -- What is lost ------------------------------------------------------------------------------------------------------------------------- */

static void
add_loss(struct queue_drop *d, const struct queue_line *line)
{
	struct loss *loss = NEW(loss);

	loss->name = mem_text(line->name);
	loss->from = line->from;
	map_put_text(d->losses, loss->name, loss);
}

/* Of the oldest segment, which ends at `end`, as it is before the readings leave it. */
static struct queue_drop *
drop_new(const struct queue_reader *r, uint64_t from, uint64_t end)
{
	struct queue_drop *d = NEW(queue_drop);
	uint64_t read = r->ahead.next > from ? r->ahead.next : from;

	d->dir = mem_text(r->dir);
	d->one_line = r->config.one_line;
	d->from = from;
	d->end = read < end ? read : end;
	d->floor = end;
	d->n_unread = end - d->end;
	d->losses = map_new_keys_in_values();
	for (const struct queue_line *line = r->behind; line; line = line->next)
		if (line->from < d->end)
			add_loss(d, line);
	return d;
}

void
queue_drop_free(struct queue_drop *d)
{
	size_t at = 0;
	void *value;

	if (!d)
		return;
	while (map_next(d->losses, &at, NULL, NULL, &value)) {
		struct loss *loss = value;

		mem_free(loss->name);
		mem_free(loss);
	}
	map_free(d->losses);
	mem_free(d->dir);
	mem_free(d);
}

void
queue_drop_note_caught_up(struct queue_drop *d, const struct queue_line *line)
{
	struct loss *loss = map_find_text(d->losses, line->name);

	if (loss)
		loss->is_settled = true;
}

static void
count(struct queue_drop *d, const struct message *m, uint64_t offset)
{
	char room[QUEUE_LINE_NAME_MAX];
	struct slice name = queue_line_name(d->one_line, m, room);
	struct loss *loss = map_find(d->losses, name.text, name.len);

	if (loss && offset >= loss->from)
		loss->n++;
}

void
queue_drop_count(struct queue_drop *d)
{
	struct err err = ERR_INIT;
	struct event_reader *reader = NULL;
	struct message m;
	uint64_t offset = 0;

	if (map_count(d->losses) == 0)
		return;
	reader = event_reader_open(d->dir, &(struct event_start){ .value = d->from }, &err);
	while (reader && queue_reading_read(reader, &m, &offset, false, &err) == 1 && offset < d->end)
		count(d, &m, offset);
	event_reader_close(reader);
	if (err.kind != ERR_NONE)
		log_error("counting what was dropped: %s", err.text);
}

/* -- The readings --------------------------------------------------------------------------------------------------------------------------- */

/* Nobody has got what he was called for; the next round calls again, from where the last of them is. */
static void
give_up_round(struct queue_reader *r)
{
	r->is_round = false;
	for (struct queue_line *line = r->behind; line; line = line->next)
		if (line->is_called)
			queue_line_set_called(r, line, false);
}

/* The readings go on behind it. */
static int
raise_floor(struct queue_reader *r, uint64_t floor, struct err *err)
{
	if (r->ahead.next < floor) {
		if (queue_reading_open(r, &r->ahead, floor, err) < 0)
			return -1;
		r->n_read = floor;
	}
	r->floor = floor;
	for (struct queue_line *line = r->behind; line; line = line->next)
		if (line->from < floor)
			line->from = floor;
	if (r->is_round && r->again.next < floor)
		give_up_round(r);
	return 0;
}

struct queue_drop *
queue_reader_drop(struct queue_reader *r)
{
	uint64_t from = r->floor > r->cursor ? r->floor : r->cursor, end = event_log_end_of_oldest(r->config.log);
	struct err err = ERR_INIT;
	struct queue_drop *d;

	if (r->drop || end <= from)
		return NULL;
	d = drop_new(r, from, end);
	if (raise_floor(r, end, &err) == 0) {
		r->is_drop_failed = false;
		r->has_moved = true;
		r->drop = d;
		return d;
	}
	queue_drop_free(d);
	if (!r->is_drop_failed)
		log_error("dropping the oldest messages: %s", err.text);
	r->is_drop_failed = true;
	return NULL;
}

/* Of one that has caught up nothing is held any more. */
static void
settle(struct queue_reader *r, const struct loss *loss)
{
	struct queue_line *line = loss->is_settled ? NULL : map_find_text(r->lines, loss->name);
	size_t n;

	if (!line)
		return;
	n = loss->n < line->n_skipped ? loss->n : line->n_skipped;
	line->n_skipped -= n;
	r->n_held -= n;
}

/* A cursor on the disk that is older than all there is means the oldest. */
size_t
queue_reader_dropped(struct queue_reader *r, struct queue_drop *d)
{
	size_t n = d->n_unread, at = 0;
	void *value;

	while (map_next(d->losses, &at, NULL, NULL, &value)) {
		const struct loss *loss = value;

		settle(r, loss);
		n += loss->n;
	}
	r->n_dropped += n;
	r->drop = NULL;
	event_log_forget_below(r->config.log, d->floor);
	queue_drop_free(d);
	return n;
}

/* The disk is given back whole segments only. */
bool
queue_reader_is_dropping(const struct queue_reader *r)
{
	uint64_t end = event_log_end_of_oldest(r->config.log);

	return r->drop || (end > 0 && end <= (r->floor > r->cursor ? r->floor : r->cursor));
}

void
queue_reader_counts(struct queue_reader *r, struct queue_counts *out)
{
	uint64_t read = r->n_read, next = event_log_next(r->config.log);

	*out = (struct queue_counts){
		.dir = r->dir,
		.length = (next > read ? next - read : 0) + r->n_held,
		.done = r->n_done,
		.expired = r->n_expired,
		.given_up = r->n_given_up,
		.dropped = r->n_dropped,
	};
}
