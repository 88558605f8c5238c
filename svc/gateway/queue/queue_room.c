/* SPDX-License-Identifier: Apache-2.0 */
/* Making room: the oldest segment of the log goes, with what is in it, and the readings go on behind it. */
#include "gateway/queue/queue_reader_inside.h"

#include "base/log.h"
#include "base/mem.h"
#include "store/segment.h"

static bool
is_wanted(const struct queue_reader *r, uint64_t offset, const struct message *m)
{
	const struct queue_line *line;

	if (offset >= r->ahead.next)
		return true;
	line = queue_line_find(r, m);
	return line && line->is_behind && offset >= line->from;
}

/* What in [from, end) is neither done nor in memory. */
static size_t
count_wanted(struct queue_reader *r, uint64_t from, uint64_t end)
{
	struct err err = ERR_INIT;
	struct event_reader *reader = event_reader_open(r->dir, &(struct event_start){ .value = from }, &err);
	struct message m;
	uint64_t offset = 0;
	size_t n = 0;

	while (reader && queue_reading_read(reader, &m, &offset, false, &err) == 1 && offset < end) {
		if (!is_wanted(r, offset, &m))
			continue;
		n++;
		if (offset >= r->ahead.next)
			continue;
		queue_line_find(r, &m)->n_skipped--;
		r->n_held--;
	}
	event_reader_close(reader);
	return n;
}

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

/* Where the oldest segment ends that is not on its way out already; 0: it is the only one. */
static uint64_t
end_of_oldest(struct queue_reader *r, struct err *err)
{
	uint64_t *firsts = NULL, gone = r->floor > r->cursor ? r->floor : r->cursor, end = 0;
	size_t n = 0;

	if (segment_list(r->dir, &firsts, &n, err) == 0)
		for (size_t i = 1; i < n && end == 0; i++)
			if (firsts[i] > gone)
				end = firsts[i];
	mem_free(firsts);
	return end;
}

bool
queue_reader_drop_oldest(struct queue_reader *r, size_t *n)
{
	struct err err = ERR_INIT;
	uint64_t end = end_of_oldest(r, &err);

	*n = end > 0 ? count_wanted(r, r->floor > r->cursor ? r->floor : r->cursor, end) : 0;
	r->n_dropped += *n;
	r->has_moved = true;
	if (end > 0 && raise_floor(r, end, &err) == 0)
		event_log_forget_below(
			r->config.log, r->floor); /* a cursor on disk that is older than all there is means the oldest */
	if (err.kind != ERR_NONE)
		log_error("dropping the oldest messages: %s", err.text);
	return end > 0;
}

bool
queue_reader_is_dropping(const struct queue_reader *r)
{
	return event_log_first(r->config.log) < r->floor;
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
