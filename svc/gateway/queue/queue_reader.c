/* SPDX-License-Identifier: Apache-2.0 */
/* Two readings of one log.  The first goes ahead and never back; a line that is skipped is `behind` from then on, and the first reading only counts what it skips of it.  The
 * second goes from the oldest such message of a line that has room again up to where the first one is; who has all of its messages by then is behind no more.  A round of it
 * serves all lines whose place it has not passed (`called`), until they are skipped again; those wait for the next round. */
#include "gateway/queue/queue_reader.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "auth/identity.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "gateway/queue/queue_lines.h"
#include "store/segment.h"
#include "wire/property_bag.h"

#define LINE_NAME_MAX (2 * IDENTITY_ID_MAX + 2)
#define ID_NAME "id"
#define LOOK_MAX 1000 /* records a call */
#define SKIP_MAX 4096 /* records that are rather read over than looked up */
#define PATIENCE_MS 2000
#define AWAY_TIMES 30
#define ALONE_PART 20 /* of the patience: with a line that all others wait for */

struct queue_line {
	char *name;
	struct queued *oldest, *newest; /* of those in memory */
	size_t n, bytes, low;		/* low: it has room again below this */
	int64_t moved_ms,
		full_ms; /* boot clock: something of it has ended, or come while there was nothing; it is waited for (0: it is not) */
	uint64_t full_at; /* how many had ended then */
	bool is_behind, has_room, is_called;
	uint64_t from; /* behind: the oldest that was skipped */
	size_t n_skipped;
	struct queue_line *next, **link; /* of those behind */
};

struct reading {
	struct event_reader *reader; /* NULL: none */
	uint64_t next;		     /* what it looks at next */
	struct message message;	     /* what it looks at, at `next` */
	bool has_message;
};

struct queue_reader {
	struct queue_reader_config config;
	char *dir;
	char id[MESSAGE_MARK_LOG_LEN + 1]; /* the log's, for ever */
	struct reading ahead, again;	   /* the first and the second one */
	struct map *lines;
	struct queue_line *behind;
	size_t n_room, n_called;
	bool is_round, has_moved, has_lines_file;
	enum queue_rest rest;
	uint64_t n_ended;
	size_t n_looked;
	uint64_t cursor;							   /* as it is on disk */
	uint64_t floor;								   /* what is older was dropped */
	struct err damage;							   /* found in the log; what else fails may pass */
	_Atomic uint64_t n_read, n_held, n_done, n_expired, n_given_up, n_dropped; /* n_held: in memory and skipped */
};

bool
queued_is_expired(const struct queued *q, int64_t now_ms)
{
	return q->expires_ms > 0 && q->expires_ms <= now_ms;
}

/* Offsets begin with 0. */
void
queued_mark(const struct queued *q, uint64_t previous, struct message_mark *out)
{
	*out = (struct message_mark){ .sequence = q->offset + 1, .previous = previous, .stored_ms = q->enqueued_ms };
	memcpy(out->log, q->reader->id, sizeof(out->log));
}

/* -- Lines ------------------------------------------------------------------------------------------------------------------------------- */

static size_t
line_name(const struct queue_reader *r, const struct message *m, char out[static LINE_NAME_MAX])
{
	int len = 0;

	if (!r->config.one_line)
		len = snprintf(out, LINE_NAME_MAX, "%.*s%s%.*s", SLICE_FMT(m->device_id), m->module_id.len > 0 ? "/" : "",
			SLICE_FMT(m->module_id));
	return len < LINE_NAME_MAX ? (size_t)len : LINE_NAME_MAX - 1;
}

static struct queue_line *
line_find(const struct queue_reader *r, const struct message *m)
{
	char name[LINE_NAME_MAX];

	return map_find(r->lines, name, line_name(r, m, name));
}

static struct queue_line *
line_make(struct queue_reader *r, const char *name, size_t len)
{
	struct queue_line *line = NEW(queue_line);

	line->name = mem_textn(name, len);
	map_put(r->lines, name, len, line);
	return line;
}

static struct queue_line *
line_get(struct queue_reader *r, const struct message *m)
{
	char name[LINE_NAME_MAX];
	size_t len = line_name(r, m, name);
	struct queue_line *line = map_find(r->lines, name, len);

	return line ? line : line_make(r, name, len);
}

static void
line_free(struct queue_line *line)
{
	mem_free(line->name);
	mem_free(line);
}

static void
line_forget_if_idle(struct queue_reader *r, struct queue_line *line)
{
	if (line->n > 0 || line->is_behind)
		return;
	map_remove_text(r->lines, line->name);
	line_free(line);
}

/* The first of its messages that is not done. */
static uint64_t
line_position(const struct queue_line *line)
{
	return line->oldest && (!line->is_behind || line->oldest->offset < line->from) ? line->oldest->offset : line->from;
}

static void
set_room(struct queue_reader *r, struct queue_line *line, bool has_room)
{
	r->n_room += (size_t)has_room;
	r->n_room -= (size_t)line->has_room;
	line->has_room = has_room;
}

static void
set_called(struct queue_reader *r, struct queue_line *line, bool is_called)
{
	r->n_called += (size_t)is_called;
	r->n_called -= (size_t)line->is_called;
	line->is_called = is_called;
}

static void
fall_behind(struct queue_reader *r, struct queue_line *line, uint64_t from)
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

static void
catch_up(struct queue_reader *r, struct queue_line *line)
{
	set_room(r, line, false);
	set_called(r, line, false);
	line->is_behind = false;
	*line->link = line->next;
	if (line->next)
		line->next->link = line->link;
	r->n_held -= line->n_skipped;
	line->n_skipped = 0;
	line_forget_if_idle(r, line);
}

/* It has room again: for this round, if that has not passed its place. */
static void
call_line(struct queue_reader *r, struct queue_line *line)
{
	set_room(r, line, true);
	if (r->is_round && line->from >= r->again.next)
		set_called(r, line, true);
}

/* -- Messages in memory --------------------------------------------------------------------------------------------------------------------- */

/* What the hub marks itself when a device connects to it (hub 1.2), it does not see of a device behind a gateway. */
static size_t
put_bag(char *at, const struct message *m)
{
	struct buf bag = BUF_INIT(PROPERTY_BAG_MAX + 64);
	size_t len;

	buf_put(&bag, m->bag.text, m->bag.len);
	if (m->is_will)
		property_put(&bag, "iothub-MessageType", "Will");
	len = bag.len;
	memcpy(at, buf_text(&bag), len + 1);
	buf_clear(&bag);
	return len + 1;
}

static size_t
put_text(char *at, struct slice s)
{
	if (s.len > 0)
		memcpy(at, s.text, s.len);
	at[s.len] = '\0';
	return s.len + 1;
}

static size_t
size_of(const struct message *m)
{
	return sizeof(struct queued) + m->device_id.len + m->module_id.len + m->generation_id.len + m->bag.len + m->payload.len +
	       4 + (m->is_will ? 64 : 0);
}

/* All in one piece: there are thousands of them. */
static struct queued *
queued_new(struct queue_reader *r, uint64_t offset, const struct message *m)
{
	struct queued *q = mem_new(size_of(m));
	char *at = (char *)(q + 1);

	q->reader = r;
	q->offset = offset;
	q->priority = r->config.priority;
	q->enqueued_ms = m->enqueued_ms;
	q->read_ms = clock_boot_ms();
	q->expires_ms = m->expires_ms;
	q->retain = m->retain;
	q->device_id = at;
	at += put_text(at, m->device_id);
	q->module_id = m->module_id.len > 0 ? at : NULL;
	at += put_text(at, m->module_id);
	q->generation_id = at;
	at += put_text(at, m->generation_id);
	q->bag = at;
	at += put_bag(at, m);
	q->payload = (const uint8_t *)at;
	q->len = m->payload.len;
	if (q->len > 0)
		memcpy(at, m->payload.text, q->len);
	return q;
}

static size_t
queued_size(const struct queued *q)
{
	return (size_t)(q->payload + q->len - (const uint8_t *)q);
}

static struct queued *
take(struct queue_reader *r, uint64_t offset, const struct message *m)
{
	struct queue_line *line = line_get(r, m);
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
	return q;
}

static void
give_back(struct queued *q)
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
	line->moved_ms = clock_boot_ms();
	give_back(q);
	if (line->is_behind && !line->has_room && line->n <= line->low)
		call_line(r, line);
	line_forget_if_idle(r, line);
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

static bool
is_expired(const struct message *m, int64_t now_ms)
{
	return m->expires_ms > 0 && m->expires_ms <= now_ms;
}

static bool
get_tired(struct queue_reader *r)
{
	if (++r->n_looked >= LOOK_MAX)
		r->rest = QUEUE_TIRED;
	return r->rest == QUEUE_TIRED;
}

/* 1: m is the next message, 0: there is none, -1: damage.  A whole record that is no message is left out. */
static int
read_one(struct event_reader *reader, struct message *m, uint64_t *offset, bool say, struct err *err)
{
	struct event_record record;
	int got;

	while ((got = event_reader_next(reader, &record, err)) == 1) {
		struct err why = ERR_INIT;

		*offset = record.place.offset;
		if (message_decode(m, record.data, record.len, &why) == 0)
			return 1;
		if (say)
			log_error("message %llu of the queue is left out: %s", (unsigned long long)*offset, why.text);
	}
	return got;
}

/* 1: it looks at a message.  Until it is passed it is looked at again. */
static int
look(struct reading *reading, bool say, struct err *err)
{
	uint64_t offset = 0;
	int got = reading->has_message ? 1 : read_one(reading->reader, &reading->message, &offset, say, err);

	if (got != 1 || reading->has_message)
		return got;
	reading->has_message = true;
	reading->next = offset;
	return 1;
}

static void
pass(struct reading *reading)
{
	reading->has_message = false;
	reading->next++;
}

static void
close_reading(struct reading *reading)
{
	event_reader_close(reading->reader);
	*reading = (struct reading){ .next = reading->next };
}

static int
open_reading(struct queue_reader *r, struct reading *reading, uint64_t from, struct err *err)
{
	struct event_reader *reader = event_reader_open(r->dir, &(struct event_start){ .value = from }, err);

	if (!reader)
		return -1; /* the one that is there is as good as before */
	close_reading(reading);
	reading->next = from;
	reading->reader = reader;
	return 0;
}

static void
expire_unread(struct queue_reader *r)
{
	r->n_expired++;
	r->has_moved = true;
}

static void
skip(struct queue_reader *r, struct queue_line *line, uint64_t offset)
{
	if (!line->is_behind)
		fall_behind(r, line, offset);
	line->n_skipped++;
	r->n_held++;
	r->has_moved = true;
}

/* What becomes of the message that the first reading looks at: taken, or NULL: passed over, unless the reading waits. */
static struct queued *
deal(struct queue_reader *r, int64_t now_ms)
{
	const struct message *m = &r->ahead.message;
	struct queue_line *line = line_find(r, m);
	bool is_behind = line && line->is_behind, is_over = !is_behind && is_expired(m, now_ms);
	enum admission admission = is_behind ? SKIP : is_over ? TAKE : admit(r, line);
	struct queued *q = NULL;

	if (admission == WAIT)
		return NULL;
	if (admission == SKIP) {
		skip(r, line, r->ahead.next);
	} else if (is_over) {
		expire_unread(r);
	} else {
		r->n_held++;
		q = take(r, r->ahead.next, m);
	}
	pass(&r->ahead);
	r->n_read = r->ahead.next;
	return q;
}

/* The first reading. */
static struct queued *
read_ahead(struct queue_reader *r, int64_t now_ms, struct err *err)
{
	struct queued *q = NULL;
	int got = 1;

	while (!q && r->rest == QUEUE_EMPTY && (got = look(&r->ahead, true, err)) == 1) {
		q = deal(r, now_ms);
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
	return open_reading(r, &r->again, from, err);
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
			set_called(r, line, true);
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
			catch_up(r, line);
		else if (line->is_called)
			set_called(r, line, false);
	}
	if (!r->behind)
		close_reading(&r->again);
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
fetch(struct queue_reader *r, struct queue_line *line, int64_t now_ms)
{
	const struct message *m = &r->again.message;
	bool is_over = is_expired(m, now_ms);
	enum admission admission = is_over ? TAKE : admit(r, line);

	if (admission == WAIT)
		return NULL;
	if (admission == SKIP) {
		line->from = r->again.next;
		line->low = line->n / 2;
		set_room(r, line, false);
		set_called(r, line, false);
		return NULL;
	}
	fetch_from(r, line, r->again.next + 1);
	if (!is_over)
		return take(r, r->again.next, m);
	r->n_held--;
	expire_unread(r);
	return NULL;
}

static struct queued *
read_again(struct queue_reader *r, int64_t now_ms, struct err *err)
{
	struct queued *q = NULL;

	while (!q && r->again.next < r->ahead.next && r->n_called > 0 && !get_tired(r)) {
		struct queue_line *line;
		int got = look(&r->again, false, err);

		if (got == 0)
			r->again.next = r->ahead.next;
		if (got != 1) /* what can't be read now is read again, or is damage, which the error tells */
			return NULL;
		line = r->again.next < r->ahead.next ? line_find(r, &r->again.message) : NULL;
		if (line && line->is_called && r->again.next >= line->from)
			q = fetch(r, line, now_ms);
		if (r->rest == QUEUE_WAITS)
			return NULL;
		pass(&r->again);
	}
	if (r->again.next >= r->ahead.next || r->n_called == 0)
		end_round(r);
	return q;
}

struct queued *
queue_reader_next(struct queue_reader *r, struct err *err)
{
	int64_t now_ms = clock_wall_ms();
	struct queued *q = NULL;

	*err = r->damage;
	r->rest = QUEUE_EMPTY;
	r->n_looked = 0;
	if (err->kind != ERR_NONE || is_full(r))
		return NULL;
	while (!q && err->kind == ERR_NONE && r->rest == QUEUE_EMPTY && (r->is_round || r->n_room > 0))
		if (r->is_round || begin_round(r, err) == 0)
			q = read_again(r, now_ms, err);
	if (!q && err->kind == ERR_NONE && r->rest == QUEUE_EMPTY)
		q = read_ahead(r, now_ms, err);
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

/* -- On disk ------------------------------------------------------------------------------------------------------------------------------ */

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
		if (line_position(line) < lowest)
			lowest = line_position(line);
	return lowest > r->floor ? lowest : r->floor;
}

static int
save_lines(struct queue_reader *r, uint64_t front, struct err *err)
{
	struct queue_lines *lines;
	int done;

	if (!r->behind && !r->has_lines_file)
		return 0;
	lines = queue_lines_new(front);
	for (const struct queue_line *line = r->behind; line; line = line->next)
		queue_lines_add(lines, line->name, line_position(line));
	done = queue_lines_save(lines, r->dir, err);
	queue_lines_free(lines);
	r->has_lines_file = r->behind != NULL;
	return done;
}

/* Where the lines are goes first: with an older cursor it says the same. */
static int
save(struct queue_reader *r, struct err *err)
{
	uint64_t front = frontier(r), cursor = lowest_of(r, front);

	if (r->has_moved && save_lines(r, front, err) < 0)
		return err_wrap(err, "the positions in the queue");
	r->has_moved = false;
	if (cursor == r->cursor)
		return 0;
	if (event_cursor_save(r->dir, QUEUE_CURSOR, cursor, err) < 0)
		return err_wrap(err, "the position in the queue");
	r->cursor = cursor;
	return 1;
}

int
queue_reader_save(struct queue_reader *r, struct err *err)
{
	int done = save(r, err);

	if (done > 0)
		event_log_forget_below(r->config.log, r->cursor);
	return done < 0 ? -1 : 0;
}

/* A line that was behind when it was saved, and waits for its first round. */
static void
restore_line(void *arg, const char *name, uint64_t from)
{
	struct queue_reader *r = arg;
	struct queue_line *line = map_find_text(r->lines, name);

	if (line)
		return;
	line = line_make(r, name, strlen(name));
	fall_behind(r, line, from > r->cursor ? from : r->cursor);
	set_room(r, line, true);
}

/* How many are left of the lines that are behind. */
static int
count_skipped(struct queue_reader *r, struct err *err)
{
	struct event_reader *reader = event_reader_open(r->dir, &(struct event_start){ .value = r->cursor }, err);
	struct message m;
	uint64_t offset = 0;
	int got = reader ? 1 : -1;

	while (got == 1 && (got = read_one(reader, &m, &offset, false, err)) == 1 && offset < r->ahead.next) {
		struct queue_line *line = line_find(r, &m);

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
	return open_reading(r, &r->ahead, r->ahead.next, err);
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
	r->lines = map_new();
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
	size_t at = 0;
	void *value;

	if (!r)
		return;
	if (r->ahead.reader && save(r, &err) < 0)
		log_error("%s", err.text);
	while (map_next(r->lines, &at, NULL, NULL, &value)) {
		struct queue_line *line = value;

		while (line->oldest)
			give_back(line->oldest);
		line_free(line);
	}
	map_free(r->lines);
	close_reading(&r->ahead);
	close_reading(&r->again);
	mem_free(r->dir);
	mem_free(r);
}

/* -- Making room --------------------------------------------------------------------------------------------------------------------------- */

static bool
is_wanted(const struct queue_reader *r, uint64_t offset, const struct message *m)
{
	const struct queue_line *line;

	if (offset >= r->ahead.next)
		return true;
	line = line_find(r, m);
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

	while (reader && read_one(reader, &m, &offset, false, &err) == 1 && offset < end) {
		if (!is_wanted(r, offset, &m))
			continue;
		n++;
		if (offset >= r->ahead.next)
			continue;
		line_find(r, &m)->n_skipped--;
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
			set_called(r, line, false);
}

/* The readings go on behind it. */
static int
raise_floor(struct queue_reader *r, uint64_t floor, struct err *err)
{
	if (r->ahead.next < floor) {
		if (open_reading(r, &r->ahead, floor, err) < 0)
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
