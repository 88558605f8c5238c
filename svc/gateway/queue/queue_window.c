/* SPDX-License-Identifier: Apache-2.0 */
/* The window: a list in the order of the queue. */
#include "gateway/queue/queue_window.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "wire/property_bag.h"

#define MESSAGES_MAX 4096
#define BYTES_MAX (64 * 1024 * 1024)

struct queue_window {
	struct event_log *log;
	struct event_reader *reader;
	char *dir;
	struct queued *oldest, *newest;
	size_t n, bytes;
	uint64_t next;	   /* what is read next */
	uint64_t saved;	   /* the cursor on disk */
	struct err damage; /* found in the queue; what else fails may pass */
};

static void
queued_free(struct queued *q)
{
	mem_free(q->device_id);
	mem_free(q->module_id);
	mem_free(q->generation_id);
	mem_free(q->bag);
	mem_free(q->payload);
	mem_free(q);
}

static size_t
queued_bytes(const struct queued *q)
{
	return sizeof(*q) + strlen(q->bag) + q->len;
}

/* What the hub marks itself when a device connects to it (hub 1.2), it does not see of a device behind a gateway. */
static char *
bag_of(const struct message *m)
{
	struct buf bag = BUF_INIT(PROPERTY_BAG_MAX);

	buf_put(&bag, m->bag.text, m->bag.len);
	if (m->is_will)
		property_put(&bag, "iothub-MessageType", "Will");
	return buf_take_text(&bag);
}

static struct queued *
queued_new(uint64_t offset, const struct message *m)
{
	struct queued *q = NEW(queued);

	q->offset = offset;
	q->device_id = slice_text(m->device_id);
	q->module_id = m->module_id.len > 0 ? slice_text(m->module_id) : NULL;
	q->generation_id = slice_text(m->generation_id);
	q->bag = bag_of(m);
	q->payload = mem_dup(m->payload.text, m->payload.len);
	q->len = m->payload.len;
	q->retain = m->retain;
	return q;
}

static uint64_t
cursor(const struct queue_window *w)
{
	return w->oldest ? w->oldest->offset : w->next;
}

static int
save_cursor(struct queue_window *w, struct err *err)
{
	if (cursor(w) == w->saved)
		return 0;
	if (event_cursor_save(w->dir, QUEUE_CURSOR, cursor(w), err) < 0)
		return err_wrap(err, "the position in the queue");
	w->saved = cursor(w);
	return 0;
}

struct queue_window *
queue_window_open(const char *dir, struct event_log *log, struct err *err)
{
	struct queue_window *w = NEW(queue_window);

	w->log = log;
	w->dir = mem_text(dir);
	if (event_cursor_load(dir, QUEUE_CURSOR, &w->saved, err) == 0)
		w->reader = event_reader_open(dir, &(struct event_start){ .value = w->saved }, err);
	if (w->reader) {
		w->next = w->saved;
		event_log_forget_below(log, w->saved); /* a crash may have come between the cursor and that */
		return w;
	}
	queue_window_close(w);
	return NULL;
}

void
queue_window_close(struct queue_window *w)
{
	struct err err = ERR_INIT;

	if (!w)
		return;
	if (w->reader && save_cursor(w, &err) < 0)
		log_error("%s", err.text);
	for (struct queued *q = w->oldest, *newer; q; q = newer) {
		newer = q->newer;
		queued_free(q);
	}
	event_reader_close(w->reader);
	mem_free(w->dir);
	mem_free(w);
}

/* 1: m is the next message, 0: there is none, -1: damage.  A whole record that is no message is left out. */
static int
read_one(struct queue_window *w, struct message *m, uint64_t *offset, struct err *err)
{
	struct event_record record;
	int got;

	while ((got = event_reader_next(w->reader, &record, err)) == 1) {
		struct err why = ERR_INIT;

		*offset = record.place.offset;
		if (message_decode(m, record.data, record.len, &why) == 0)
			return 1;
		log_error("message %llu of the queue is left out: %s", (unsigned long long)*offset, why.text);
		w->next = *offset + 1;
	}
	return got;
}

struct queued *
queue_window_next(struct queue_window *w, struct err *err)
{
	struct message m;
	struct queued *q;
	uint64_t offset = 0;
	int got;

	*err = w->damage;
	if (err->kind != ERR_NONE || w->n >= MESSAGES_MAX || w->bytes >= BYTES_MAX)
		return NULL;
	got = read_one(w, &m, &offset, err);
	if (got < 0 && err->kind == ERR_BROKEN)
		w->damage = *err;
	if (got <= 0)
		return NULL;
	q = queued_new(offset, &m);
	q->older = w->newest;
	*(w->newest ? &w->newest->newer : &w->oldest) = q;
	w->newest = q;
	w->next = offset + 1;
	w->n++;
	w->bytes += queued_bytes(q);
	return q;
}

void
queue_window_done(struct queue_window *w, struct queued *q)
{
	*(q->older ? &q->older->newer : &w->oldest) = q->newer;
	*(q->newer ? &q->newer->older : &w->newest) = q->older;
	w->n--;
	w->bytes -= queued_bytes(q);
	queued_free(q);
}

int
queue_window_save(struct queue_window *w, struct err *err)
{
	if (cursor(w) == w->saved)
		return 0;
	if (save_cursor(w, err) < 0)
		return -1;
	event_log_forget_below(w->log, w->saved);
	return 0;
}
