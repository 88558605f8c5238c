/* SPDX-License-Identifier: Apache-2.0 */
/* Sinks (event_sink.h): a thread that fills a batch, delivers it, keeps the place, and waits: for more, or before it tries again. */
#include "hub/events/event_sink.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "net/http_client.h"
#include "store/event_feed.h"

#define BATCH_EVENTS 100
#define BATCH_BYTES (256u << 10) /* and one more event */
#define BATCH_MAX (8u << 20)
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
#define RETRY_AFTER_MAX_MS 300000
#define PIPE_PIECE 4096 /* what a pipe that is ready takes without waiting */
#define LOOK_MS 500	/* between two looks at whether the hub stops */

struct sink_kind {
	const char *group, *before, *between, *after; /* around the events of a batch */
	int (*deliver)(struct event_sink *sink, int64_t *retry_ms, struct err *err);
};

struct event_sink {
	const struct sink_kind *kind;
	char *url, *connect_to;
	struct anchors *anchors;
	struct event_feed *feed;
	struct buf batch;
	struct event_readers *readers;
	struct event_group place; /* what is done, and with the batch that is under way */
	size_t n_batch;
	bool failing; /* the operator was told */
	atomic_bool stopping;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool grown; /* under the lock */
	struct owner owner;
	struct post notify;
	struct event_wait wait;
};

/* -- Waiting ----------------------------------------------------------------------------------------------------------------------------- */

static void
on_post(struct owner *owner, struct post *post)
{
	(void)owner;
	post->run(post);
}

/* On the log's thread. */
static void
on_grown(struct post *post)
{
	struct event_sink *sink = CONTAINER_OF(post, struct event_sink, notify);

	pthread_mutex_lock(&sink->lock);
	sink->grown = true;
	pthread_cond_signal(&sink->wake);
	pthread_mutex_unlock(&sink->lock);
}

static void
wait_for_more(struct event_sink *sink)
{
	event_feed_rest(sink->feed);
	sink->grown = false;
	if (event_log_wait(sink->readers->log, &sink->wait, event_feed_offset(sink->feed), &sink->owner, &sink->notify))
		return;
	pthread_mutex_lock(&sink->lock);
	while (!sink->grown && !sink->stopping)
		pthread_cond_wait(&sink->wake, &sink->lock);
	pthread_mutex_unlock(&sink->lock);
	(void)event_log_wait_no_more(sink->readers->log, &sink->wait);
}

static void
wait_ms(struct event_sink *sink, int64_t ms)
{
	struct timespec until;

	clock_until(ms, &until);
	pthread_mutex_lock(&sink->lock);
	while (!sink->stopping && pthread_cond_timedwait(&sink->wake, &sink->lock, &until) == 0)
		;
	pthread_mutex_unlock(&sink->lock);
}

/* -- To the standard output ---------------------------------------------------------------------------------------------------------------- */

/* A pipe that nobody empties must not keep the hub from stopping. */
static int
deliver_to_stdout(struct event_sink *sink, int64_t *retry_ms, struct err *err)
{
	struct pollfd ready = { .fd = STDOUT_FILENO, .events = POLLOUT };
	const uint8_t *at = sink->batch.data;
	size_t left = sink->batch.len;
	ssize_t n;

	(void)retry_ms;
	while (left > 0) {
		if (sink->stopping)
			return err_set(err, ERR_UNAVAILABLE, "the hub is stopping");
		if (poll(&ready, 1, LOOK_MS) <= 0)
			continue;
		n = write(STDOUT_FILENO, at, left < PIPE_PIECE ? left : PIPE_PIECE);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return err_errno(err, "cannot write to the standard output");
		at += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* -- To a web hook ------------------------------------------------------------------------------------------------------------------------- */

static int
deliver_to_hook(struct event_sink *sink, int64_t *retry_ms, struct err *err)
{
	static const char *const headers[] = { "Content-Type: application/json; charset=utf-8", NULL };
	struct http_answer answer;
	struct http_call call = {
		.method = "POST",
		.url = sink->url,
		.connect_to = sink->connect_to,
		.headers = headers,
		.body = sink->batch.data,
		.body_len = sink->batch.len,
		.anchors = sink->anchors,
		.cancelled = &sink->stopping,
		.who = "hub",
	};
	int done = http_fetch(&answer, &call, err);

	if (done == 0 && answer.status / 100 != 2)
		done = err_set(err, ERR_UNAVAILABLE, "it answers with status %d", answer.status);
	if (answer.retry_after_s > 0)
		*retry_ms = answer.retry_after_s > RETRY_AFTER_MAX_MS / 1000 ? RETRY_AFTER_MAX_MS : answer.retry_after_s * 1000;
	http_answer_clear(&answer);
	return done;
}

static const struct sink_kind to_stdout = { "$stdout", "", "", "", deliver_to_stdout };
static const struct sink_kind to_hook = { "$webhook", "[", ",", "]", deliver_to_hook };

static const struct sink_kind *
find_kind(const char *to)
{
	if (text_is(to, "stdout"))
		return &to_stdout;
	return text_starts(to, "https://") ? &to_hook : NULL;
}

/* -- Batches ------------------------------------------------------------------------------------------------------------------------------- */

static void
put_event(struct event_sink *sink, const struct event_fed *fed)
{
	OWN_TEXT json = message_json(&fed->message, &fed->place);

	buf_puts(&sink->batch, sink->n_batch++ == 0 ? sink->kind->before : sink->kind->between);
	buf_puts(&sink->batch, json);
	if (sink->kind == &to_stdout)
		buf_putc(&sink->batch, '\n');
}

/* 0: there is one, or nothing more. */
static int
fill(struct event_sink *sink, struct err *err)
{
	enum event_feed_got got = EVENT_FEED_OTHER;
	struct event_fed fed;

	buf_clear(&sink->batch);
	sink->n_batch = 0;
	while (sink->n_batch < BATCH_EVENTS && sink->batch.len < BATCH_BYTES && !sink->stopping) {
		got = event_feed_next(sink->feed, &fed, err);
		if (got <= EVENT_FEED_END)
			break;
		if (got == EVENT_FEED_MESSAGE)
			put_event(sink, &fed);
		sink->place.next[fed.place.partition] = fed.place.sequence + 1;
	}
	if (sink->n_batch > 0)
		buf_puts(&sink->batch, sink->kind->after);
	return got == EVENT_FEED_FAILED ? -1 : 0;
}

static void
note_trouble(struct event_sink *sink, const char *why)
{
	if (!sink->failing && !sink->stopping)
		log_error("events to %s wait and will be sent again: %s", sink->kind->group + 1, why);
	sink->failing = true;
}

static void
note_success(struct event_sink *sink)
{
	if (sink->failing)
		log_info("events to %s are taken again", sink->kind->group + 1);
	sink->failing = false;
}

/* Try until it is taken, or the hub stops. */
static bool
deliver(struct event_sink *sink)
{
	int64_t pause_ms = RETRY_MIN_MS, retry_ms;

	while (!sink->stopping) {
		struct err err = ERR_INIT;

		retry_ms = 0;
		if (sink->kind->deliver(sink, &retry_ms, &err) == 0) {
			note_success(sink);
			return true;
		}
		note_trouble(sink, err.text);
		wait_ms(sink, retry_ms > 0 ? retry_ms : pause_ms / 2 + random_below((uint32_t)pause_ms / 2 + 1));
		pause_ms = pause_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : pause_ms * 2;
	}
	return false;
}

static int
save_place(struct event_sink *sink, struct err *err)
{
	int done;

	pthread_mutex_lock(&sink->readers->lock);
	done = event_group_save(sink->readers->dir, sink->kind->group, &sink->place, err);
	pthread_mutex_unlock(&sink->readers->lock);
	return done;
}

static void *
sink_main(void *arg)
{
	struct event_sink *sink = arg;
	bool broken = false;

	while (!sink->stopping && !broken) {
		struct err err = ERR_INIT;

		broken = fill(sink, &err) < 0;
		if (broken)
			log_error("events to %s end here: %s", sink->kind->group + 1, err.text);
		if (sink->n_batch == 0 && !broken)
			wait_for_more(sink);
		else if (sink->n_batch > 0 && deliver(sink) && save_place(sink, &err) < 0)
			note_trouble(sink, err.text); /* some will come twice */
	}
	return NULL;
}

/* -- Start and stop ------------------------------------------------------------------------------------------------------------------------ */

int
event_sink_check(const char *to, const char *ca_path, struct err *err)
{
	const struct sink_kind *kind = find_kind(to);

	if (!kind)
		return err_set(err, ERR_INVALID, "--sink: 'stdout' or an address that begins with https://");
	if (kind == &to_hook && !ca_path)
		return err_set(err, ERR_INVALID, "--sink: a web hook needs --sink-ca, the roots that its server is trusted by");
	return 0;
}

/* Partitions in which it never was begin here; that is kept at once, or what came before the first batch could be lost. */
static int
open_place(struct event_sink *sink, struct err *err)
{
	struct event_feed_config feed = { .dir = sink->readers->dir, .partition = -1 };
	struct event_partition p;

	if (event_group_load(sink->readers->dir, sink->kind->group, &sink->place, err) < 0)
		return -1;
	for (unsigned i = 0; i < event_log_partitions(sink->readers->log); i++) {
		event_log_partition(sink->readers->log, i, &p);
		if (!sink->place.has[i])
			sink->place.next[i] = p.next;
		sink->place.has[i] = true;
	}
	if (save_place(sink, err) < 0)
		return -1;
	feed.group = sink->place;
	sink->feed = event_feed_open(&feed, err);
	return sink->feed ? 0 : -1;
}

static int
open_anchors(struct event_sink *sink, const char *ca_path, struct err *err)
{
	struct certs roots = { 0 };

	if (sink->kind != &to_hook)
		return 0;
	if (certs_load(&roots, ca_path, CERTS_MAX, err) < 0)
		return -1;
	sink->anchors = anchors_new(&roots, err);
	certs_clear(&roots);
	return sink->anchors ? 0 : -1;
}

static void
sink_free(struct event_sink *sink)
{
	event_feed_close(sink->feed);
	anchors_free(sink->anchors);
	buf_clear(&sink->batch);
	pthread_mutex_destroy(&sink->lock);
	pthread_cond_destroy(&sink->wake);
	mem_free(sink->url);
	mem_free(sink->connect_to);
	mem_free(sink);
}

/* Signals belong to the loops. */
static int
start_thread(struct event_sink *sink, struct err *err)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&sink->thread, NULL, sink_main, sink);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return err_set(err, ERR_UNAVAILABLE, "cannot start the thread of a sink: %s", strerror(failed));
	pthread_setname_np(sink->thread, "sink");
	return 0;
}

struct event_sink *
event_sink_start(const struct event_sink_config *config, struct err *err)
{
	struct event_sink *event_sink = NEW(event_sink);
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&event_sink->lock, NULL);
	pthread_cond_init(&event_sink->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	event_sink->kind = find_kind(config->to);
	event_sink->url = mem_text(config->to);
	event_sink->connect_to = mem_text(config->connect_to);
	event_sink->readers = config->readers;
	event_sink->batch = (struct buf)BUF_INIT(BATCH_MAX);
	event_sink->owner.post = on_post;
	event_sink->notify.run = on_grown;
	if (open_anchors(event_sink, config->ca_path, err) == 0 && open_place(event_sink, err) == 0 &&
		start_thread(event_sink, err) == 0)
		return event_sink;
	sink_free(event_sink);
	return NULL;
}

void
event_sink_stop(struct event_sink *sink)
{
	if (!sink)
		return;
	pthread_mutex_lock(&sink->lock);
	sink->stopping = true;
	pthread_cond_signal(&sink->wake);
	pthread_mutex_unlock(&sink->lock);
	pthread_join(sink->thread, NULL);
	sink_free(sink);
}
