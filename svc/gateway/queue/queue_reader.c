/* SPDX-License-Identifier: Apache-2.0 */
/* Two readings of one log.  The first goes ahead and never back; a line that is skipped is `behind` from then on, and the first reading only counts what it skips of it.  The
 * second goes from the oldest such message of a line that has room again up to where the first one is; who has all of its messages by then is behind no more.  A round of it
 * serves all lines whose place it has not passed (`called`), until they are skipped again; those wait for the next round. */
#include "gateway/queue/queue_reader_inside.h"

#include "base/clock.h"
#include "base/mem.h"

#define LOOK_MAX 1000 /* records a call */
#define SKIP_MAX 4096 /* records that are rather read over than looked up */
#define PATIENCE_MS 2000
#define AWAY_TIMES 30
#define ALONE_PART 20 /* of the patience: with a line that all others wait for */

/* -- What leaves -------------------------------------------------------------------------------------------------------------------------- */

static void
expire_unread(struct queue_reader *r, const struct message *m)
{
	r->n_expired++;
	r->has_moved = true;
	queue_lost_count(&r->lost, QUEUE_LOST_EXPIRED, m);
	if (r->config.share)
		queue_share_leave(
			r->config.share, queue_share_sender(r->config.share, m->device_id, m->module_id), queue_share_size(m));
}

/* A line is of one sender, unless there is but one line. */
static uint32_t
sender_of(const struct queue_reader *r, struct queue_line *line, const struct message *m)
{
	if (line->sender == 0 || r->config.one_line)
		line->sender = queue_share_sender(r->config.share, m->device_id, m->module_id);
	return line->sender;
}

/* -- Messages in memory --------------------------------------------------------------------------------------------------------------------- */

static struct queued *
take(struct queue_reader *r, struct queue_line *line, uint64_t offset, const struct message *m)
{
	struct queued *q = queued_new(r, offset, m);

	q->line = line;
	q->older = line->newest;
	*(line->newest ? &line->newest->newer : &line->oldest) = q;
	line->newest = q;
	if (line->n++ == 0)
		line->moved_ms = clock_boot_ms();
	line->full_ms = 0;
	line->bytes += queued_size(q);
	r->config.places->n++;
	r->config.places->bytes += queued_size(q);
	if (r->config.share) {
		q->sender = sender_of(r, line, m);
		q->share = queue_share_size(m);
	}
	return q;
}

void
queued_give_back(struct queued *q)
{
	struct queue_line *line = q->line;
	struct queue_places *places = q->reader->config.places;

	*(q->older ? &q->older->newer : &line->oldest) = q->newer;
	*(q->newer ? &q->newer->older : &line->newest) = q->older;
	line->n--;
	line->bytes -= queued_size(q);
	places->n--;
	places->bytes -= queued_size(q);
	mem_free(q);
}

static void
count_lost(struct queue_reader *r, const struct queued *q, enum queue_end how)
{
	struct message who = { .device_id = slice_of(q->device_id), .module_id = slice_of(q->module_id ? q->module_id : "") };

	queue_lost_count(&r->lost, how == QUEUE_EXPIRED ? QUEUE_LOST_EXPIRED : QUEUE_LOST_GIVEN_UP, &who);
}

void
queue_reader_end(struct queued *q, enum queue_end how)
{
	struct queue_reader *r = q->reader;
	struct queue_line *line = q->line;
	_Atomic uint64_t *const counters[] = { &r->n_done, &r->n_expired, &r->n_given_up };

	++*counters[how];
	r->n_held--;
	r->n_ended++;
	r->has_moved = true;
	if (how != QUEUE_DONE)
		count_lost(r, q, how);
	if (q->share > 0)
		queue_share_leave(r->config.share, q->sender, q->share);
	line->moved_ms = clock_boot_ms();
	queued_give_back(q);
	if (line->is_behind && !line->has_room && line->n <= line->low)
		queue_line_call(r, line);
	queue_line_forget_if_idle(r, line);
}

/* -- Reading ----------------------------------------------------------------------------------------------------------------------------- */

static bool
is_full(const struct queue_reader *r)
{
	const struct queue_places *p = r->config.places;

	return p->n >= p->n_max || p->bytes >= p->bytes_max;
}

/* Its share is what is free: one line alone gets half of all places, each further one half of what is left. */
static bool
may_take(const struct queue_reader *r, const struct queue_line *line)
{
	const struct queue_places *p = r->config.places;

	if (r->config.one_line || !line || line->n == 0)
		return true;
	return line->n < p->n_max - p->n && line->bytes < p->bytes_max - p->bytes;
}

/* Others go on without it: it has not moved for long; or it moves, and they have had much more in the same time, or have nothing left to do but to wait for it. */
static bool
is_left_behind(const struct queue_reader *r, const struct queue_line *line)
{
	int64_t now_ms = clock_boot_ms(), patience_ms = r->config.patience_ms ? r->config.patience_ms : PATIENCE_MS;
	const struct queue_places *p = r->config.places;

	if (p->is_away)
		return now_ms - line->full_ms >= patience_ms * AWAY_TIMES; /* it may be but this line's hub that is away */
	if (now_ms - line->moved_ms >= patience_ms || r->n_ended - line->full_at >= p->n_max / 4)
		return true;
	return p->n - line->n <= p->n_max / 64 && now_ms - line->full_ms >= patience_ms / ALONE_PART;
}

enum admission { TAKE, WAIT, SKIP };

static enum admission
admit(struct queue_reader *r, struct queue_line *line)
{
	if (may_take(r, line))
		return TAKE;
	if (line->full_ms == 0) {
		line->full_ms = clock_boot_ms();
		line->full_at = r->n_ended;
	}
	if (!is_left_behind(r, line)) {
		r->rest = QUEUE_WAITS;
		return WAIT;
	}
	line->full_ms = 0;
	return SKIP;
}

/* Few have an end. */
static bool
is_expired(const struct message *m)
{
	return m->expires_ms > 0 && m->expires_ms <= clock_wall_ms();
}

static bool
get_tired(struct queue_reader *r)
{
	if (++r->n_looked >= LOOK_MAX)
		r->rest = QUEUE_TIRED;
	return r->rest == QUEUE_TIRED;
}

static void
skip(struct queue_reader *r, struct queue_line *line, uint64_t offset)
{
	if (!line->is_behind)
		queue_line_fall_behind(r, line, offset);
	line->n_skipped++;
	r->n_held++;
	r->has_moved = true;
}

static struct queued *
pass(struct queue_reader *r, struct queued *q)
{
	queue_reading_pass(&r->ahead);
	r->n_read = r->ahead.next;
	return q;
}

/* After a restart it begins at the oldest message that was not done of the lines that were not behind, and some that were are further. */
static bool
was_done(const struct queue_line *line, uint64_t offset)
{
	return line && offset < line->done_below;
}

/* What becomes of the message that the first reading looks at: taken, or NULL: passed over, unless the reading waits. */
static struct queued *
deal(struct queue_reader *r)
{
	const struct message *m = &r->ahead.message;
	struct queue_line *line = queue_line_find(r, m);
	bool is_behind = line && line->is_behind, is_over = !is_behind && is_expired(m);
	enum admission admission;

	if (was_done(line, r->ahead.next)) {
		r->has_moved = true;
		return pass(r, NULL);
	}
	admission = is_behind ? SKIP : is_over ? TAKE : admit(r, line);
	if (admission == WAIT)
		return NULL;
	if (admission == SKIP) {
		skip(r, line, r->ahead.next);
		return pass(r, NULL);
	}
	if (is_over) {
		expire_unread(r, m);
		return pass(r, NULL);
	}
	r->n_held++;
	return pass(r, take(r, line ? line : queue_line_get(r, m), r->ahead.next, m));
}

/* The first reading. */
static struct queued *
read_ahead(struct queue_reader *r, struct err *err)
{
	struct queued *q = NULL;
	int got = 1;

	while (!q && r->rest == QUEUE_EMPTY && (got = queue_reading_look(&r->ahead, true, err)) == 1) {
		q = deal(r);
		if (!q && r->rest == QUEUE_EMPTY)
			(void)get_tired(r);
	}
	if (got == 0) {
		r->ahead.next = event_reader_offset(r->ahead.reader);
		r->n_read = r->ahead.next;
	}
	return q;
}

/* -- The second reading --------------------------------------------------------------------------------------------------------------------- */

static int
go_to(struct queue_reader *r, uint64_t from, struct err *err)
{
	if (r->again.reader && r->again.next <= from && from - r->again.next < SKIP_MAX)
		return 0;
	return queue_reading_open(r, &r->again, from, err);
}

static int
begin_round(struct queue_reader *r, struct err *err)
{
	uint64_t from = UINT64_MAX;

	for (struct queue_line *line = r->behind; line; line = line->next)
		if (line->has_room && line->from < from)
			from = line->from;
	if (go_to(r, from, err) < 0)
		return -1;
	for (struct queue_line *line = r->behind; line; line = line->next)
		if (line->from >= from)
			queue_line_set_called(r, line, true);
	r->is_round = true;
	return 0;
}

/* Who is still called where the first reading is has got all. */
static void
end_round(struct queue_reader *r)
{
	bool is_whole = r->again.next >= r->ahead.next;

	r->is_round = false;
	for (struct queue_line *line = r->behind, *next; line; line = next) {
		next = line->next;
		if (line->is_called && is_whole)
			queue_line_catch_up(r, line);
		else if (line->is_called)
			queue_line_set_called(r, line, false);
	}
	if (!r->behind)
		queue_reading_close(&r->again);
}

static void
fetch_from(struct queue_reader *r, struct queue_line *line, uint64_t from)
{
	line->from = from;
	r->has_moved = true;
	if (line->n_skipped > 0)
		line->n_skipped--;
}

/* The message of a line that is called, which the second reading looks at. */
static struct queued *
fetch(struct queue_reader *r, struct queue_line *line)
{
	const struct message *m = &r->again.message;
	bool is_over = is_expired(m);
	enum admission admission = is_over ? TAKE : admit(r, line);

	if (admission == WAIT)
		return NULL;
	if (admission == SKIP) {
		line->from = r->again.next;
		line->low = line->n / 2;
		queue_line_set_room(r, line, false);
		queue_line_set_called(r, line, false);
		return NULL;
	}
	fetch_from(r, line, r->again.next + 1);
	if (!is_over)
		return take(r, line, r->again.next, m);
	r->n_held--;
	expire_unread(r, m);
	return NULL;
}

static struct queued *
read_again(struct queue_reader *r, struct err *err)
{
	struct queued *q = NULL;

	while (!q && r->again.next < r->ahead.next && r->n_called > 0 && !get_tired(r)) {
		struct queue_line *line;
		int got = queue_reading_look(&r->again, false, err);

		if (got == 0)
			r->again.next = r->ahead.next;
		if (got != 1) /* what can't be read now is read again, or is damage, which the error tells */
			return NULL;
		line = r->again.next < r->ahead.next ? queue_line_find(r, &r->again.message) : NULL;
		if (line && line->is_called && r->again.next >= line->from)
			q = fetch(r, line);
		if (r->rest == QUEUE_WAITS)
			return NULL;
		queue_reading_pass(&r->again);
	}
	if (r->again.next >= r->ahead.next || r->n_called == 0)
		end_round(r);
	return q;
}

struct queued *
queue_reader_next(struct queue_reader *r, struct err *err)
{
	struct queued *q = NULL;

	*err = r->damage;
	r->rest = QUEUE_EMPTY;
	r->n_looked = 0;
	if (err->kind != ERR_NONE || is_full(r))
		return NULL;
	while (!q && err->kind == ERR_NONE && r->rest == QUEUE_EMPTY && (r->is_round || r->n_room > 0))
		if (r->is_round || begin_round(r, err) == 0)
			q = read_again(r, err);
	if (!q && err->kind == ERR_NONE && r->rest == QUEUE_EMPTY)
		q = read_ahead(r, err);
	if (err->kind == ERR_BROKEN)
		r->damage = *err;
	return q;
}

enum queue_rest
queue_reader_rest(const struct queue_reader *r)
{
	return r->rest;
}

bool
queue_reader_is_behind(const struct queue_reader *r)
{
	return r->is_round || r->n_room > 0 || r->ahead.next < event_log_next(r->config.log);
}
