/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of events (event_stream.h).  A stream does one thing at a time: it reads (on the pool), waits for the peer to take what was read, or waits for the log to grow.
 * It is freed when its peer has gone and nothing of this is under way. */
#include "hub/events/event_stream.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loop.h"

#define PIECE 49152	    /* enough for one turn */
#define READ_MAX (1u << 20) /* in one turn, so that a rare device's reader does not keep a thread */
#define OUT_MAX (8u << 20)  /* a piece and one more event, as JSON */
#define STALL_MS 60000	    /* who takes nothing for so long is let go, and may come again */

struct event_stream {
	struct event_stream_wish wish;
	struct event_feed *feed;
	struct buf out;
	struct event_readers *readers;
	struct http_request *req;
	struct loop *loop;
	struct event_place seen; /* the last record that was read, wanted or not */
	uint64_t n_read, n_told; /* records read, and how many of them the peer knows of by an id */
	struct job job;
	struct event_wait wait;
	struct post notify;
	struct timer timer;
	struct err trouble;
	int64_t last_write_ms;
	bool working, waiting, drained, at_end, gone;
};

void
event_stream_wish_clear(struct event_stream_wish *wish)
{
	mem_free(wish->group);
	mem_free(wish->device_id);
	if (wish->token)
		mem_wipe(wish->token, strlen(wish->token));
	mem_free(wish->token);
	*wish = (struct event_stream_wish){ 0 };
}

static void
stream_free(struct event_stream *stream)
{
	timer_cancel(&stream->timer);
	event_feed_close(stream->feed);
	event_stream_wish_clear(&stream->wish);
	buf_clear(&stream->out);
	stream->readers->n_streams--;
	mem_free(stream);
}

/* -- Reading, on the pool ---------------------------------------------------------------------------------------------------------------- */

static int
open_feed(struct event_stream *stream, struct err *err)
{
	struct event_feed_config *config = &stream->wish.feed;

	if (stream->feed)
		return 0;
	config->dir = stream->readers->dir;
	config->device_id = stream->wish.device_id;
	if (config->from.kind == EVENT_FROM_CHECKPOINT &&
		event_group_load(stream->readers->dir, stream->wish.group, &config->group, err) < 0)
		return -1;
	stream->feed = event_feed_open(config, err);
	return stream->feed ? 0 : -1;
}

static void
put_event(struct event_stream *stream, const struct event_fed *fed)
{
	OWN_TEXT json = message_json(&fed->message, &fed->place);

	buf_putf(&stream->out, "id: %u:%llu\ndata: ", fed->place.partition, (unsigned long long)fed->place.sequence);
	buf_puts(&stream->out, json);
	buf_puts(&stream->out, "\n\n");
	stream->n_told = stream->n_read;
}

static void
read_piece(struct event_stream *stream)
{
	enum event_feed_got got = EVENT_FEED_OTHER;
	struct event_fed fed;
	size_t n = 0;

	while (got > EVENT_FEED_END && stream->out.len < PIECE && n < READ_MAX) {
		got = event_feed_next(stream->feed, &fed, &stream->trouble);
		if (got <= EVENT_FEED_END)
			break;
		n += fed.size;
		stream->n_read++;
		stream->seen = fed.place;
		if (got == EVENT_FEED_MESSAGE)
			put_event(stream, &fed);
	}
	stream->at_end = got == EVENT_FEED_END;
	if (stream->at_end)
		event_feed_rest(stream->feed);
}

static void
on_work(struct job *job)
{
	struct event_stream *stream = CONTAINER_OF(job, struct event_stream, job);

	if (open_feed(stream, &stream->trouble) == 0)
		read_piece(stream);
}

/* -- On the loop ------------------------------------------------------------------------------------------------------------------------- */

static void
end(struct event_stream *stream)
{
	http_stream_end(stream->req);
	stream_free(stream);
}

static void
end_badly(struct event_stream *stream, const char *why)
{
	http_stream_abort(stream->req, why);
	stream_free(stream);
}

static void
write_out(struct event_stream *stream, const void *data, size_t len)
{
	http_stream_write(stream->req, data, len);
	stream->drained = false;
	stream->last_write_ms = clock_boot_ms();
}

static bool
is_withdrawn(const struct event_stream *stream)
{
	return !stream->wish.stands(stream->wish.arg, stream->wish.token);
}

static void
start_work(struct event_stream *stream)
{
	stream->working = pool_try(stream->readers->pool, &stream->job);
	if (!stream->working)
		end_badly(stream, "too much is being read"); /* the queue has room for all streams */
}

/* Go on, unless something is under way. */
static void
turn(struct event_stream *stream)
{
	bool is_idle = !stream->working && !stream->waiting;

	if (!is_idle || (!stream->drained && !stream->gone))
		return;
	if (stream->gone || !stream->readers->log || (stream->at_end && stream->wish.ends) || is_withdrawn(stream)) {
		end(stream);
		return;
	}
	if (stream->at_end && !event_log_wait(stream->readers->log, &stream->wait, event_feed_offset(stream->feed),
				      loop_owner(stream->loop), &stream->notify))
		stream->waiting = true;
	else
		start_work(stream);
}

static void
on_worked(struct job *job)
{
	struct event_stream *stream = CONTAINER_OF(job, struct event_stream, job);

	stream->working = false;
	if (stream->trouble.kind != ERR_NONE)
		log_error("a stream of events ends: %s", stream->trouble.text);
	if (!stream->gone && (stream->trouble.kind != ERR_NONE || stream->out.failed)) {
		end_badly(stream, "the events cannot be read");
		return;
	}
	if (stream->out.len > 0 && !stream->gone && is_withdrawn(stream)) {
		end(stream);
		return;
	}
	if (stream->out.len > 0 && !stream->gone)
		write_out(stream, stream->out.data, stream->out.len);
	buf_clear(&stream->out);
	turn(stream);
}

static void
on_grown(struct post *post)
{
	struct event_stream *stream = CONTAINER_OF(post, struct event_stream, notify);

	stream->waiting = false;
	stream->at_end = false;
	turn(stream);
}

static void
on_drain(void *arg)
{
	struct event_stream *stream = arg;

	stream->drained = true;
	turn(stream);
}

static void
stop_waiting(struct event_stream *stream)
{
	/* A log that was closed has told all who waited. */
	if (stream->waiting && stream->readers->log && event_log_wait_no_more(stream->readers->log, &stream->wait))
		stream->waiting = false;
}

static void
on_gone(void *arg)
{
	struct event_stream *stream = arg;

	stream->gone = true;
	timer_cancel(&stream->timer);
	stop_waiting(stream);
	turn(stream);
}

static const struct http_stream_ops stream_ops = { .on_drain = on_drain, .on_gone = on_gone };

/* A sign of life; and how far it is for one that wants little of what there is, so that it does not begin far behind when it comes again. */
static void
beat(struct event_stream *stream)
{
	char text[64] = ":\n\n";
	int len = 3;

	if (!stream->working && stream->n_told != stream->n_read) {
		len = snprintf(
			text, sizeof(text), "id: %u:%llu\n\n", stream->seen.partition, (unsigned long long)stream->seen.sequence);
		stream->n_told = stream->n_read;
	}
	write_out(stream, text, (size_t)len);
}

static void
on_timer(struct timer *timer)
{
	struct event_stream *stream = CONTAINER_OF(timer, struct event_stream, timer);
	int64_t quiet_ms = clock_boot_ms() - stream->last_write_ms;

	timer_arm(timer, stream->wish.heartbeat_ms);
	if (!stream->drained && !stream->working && quiet_ms > STALL_MS) {
		stop_waiting(stream);
		if (!stream->waiting)
			end_badly(stream, "the peer reads too slowly");
		return;
	}
	if (is_withdrawn(stream)) {
		stop_waiting(stream);
		turn(stream);
		return;
	}
	if (stream->drained && quiet_ms >= stream->wish.heartbeat_ms)
		beat(stream);
}

bool
event_stream_begin(struct event_readers *readers, struct http_request *req, struct event_stream_wish *wish_take)
{
	static const char *const headers[] = { "Content-Type: text/event-stream", "Cache-Control: no-store", NULL };
	struct event_stream *stream;

	if (readers->n_streams++ >= EVENT_STREAMS_MAX) {
		readers->n_streams--;
		return false;
	}
	stream = NEW(event_stream);
	stream->readers = readers;
	stream->req = req;
	stream->loop = conn_loop(http_conn(req));
	stream->wish = *wish_take;
	stream->out = (struct buf)BUF_INIT(OUT_MAX);
	stream->job = (struct job){ .run = on_work, .done = on_worked, .owner = loop_owner(stream->loop) };
	stream->notify.run = on_grown;
	timer_init(&stream->timer, stream->loop, on_timer);
	*wish_take = (struct event_stream_wish){ 0 };
	if (!http_stream_begin(req, 200, headers, &stream_ops, stream)) {
		stream_free(stream);
		return true;
	}
	timer_arm(&stream->timer, stream->wish.heartbeat_ms);
	write_out(stream, "retry: 2000\n\n", 13);
	return true;
}
