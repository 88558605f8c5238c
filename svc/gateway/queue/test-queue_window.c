/* SPDX-License-Identifier: Apache-2.0 */
/* The window on the queue: nothing is forgotten before it is done, and what is done is not sent again. */
#include "gateway/queue/test_queue.h"

struct fixture {
	char *dir;
	struct event_log *log;
	struct queue_window *window;
};

static void
fixture_open(struct fixture *f, const char *name, int n)
{
	struct err err = ERR_INIT;

	f->dir = fresh_dir(name);
	f->log = event_log_open(&(struct event_log_config){ .dir = f->dir }, &err);
	store_numbers(f->log, 0, n);
	event_log_close(f->log);
	f->log = event_log_open(&(struct event_log_config){ .dir = f->dir }, &err);
	f->window = queue_window_open(f->dir, f->log, &err);
	if (!f->window)
		fail_msg("%s", err.text);
}

static void
fixture_reopen_window(struct fixture *f)
{
	struct err err = ERR_INIT;

	queue_window_close(f->window);
	f->window = queue_window_open(f->dir, f->log, &err);
	if (!f->window)
		fail_msg("%s", err.text);
}

static void
fixture_close(struct fixture *f)
{
	queue_window_close(f->window);
	event_log_close(f->log);
	mem_free(f->dir);
}

TEST("messages come in the order of the queue, and then none without an error")
{
	struct err err = ERR_INIT;
	struct fixture f;

	fixture_open(&f, "order", 3);
	for (int i = 0; i < 3; i++)
		CHECK_INT(number_of(queue_window_next(f.window, &err)), i);
	CHECK(!queue_window_next(f.window, &err));
	CHECK_INT(err.kind, ERR_NONE);
	fixture_close(&f);
}

TEST("what was not done comes again after a restart, from the oldest on")
{
	struct queued *q[4];
	struct err err = ERR_INIT;
	struct fixture f;

	fixture_open(&f, "again", 4);
	for (int i = 0; i < 4; i++)
		q[i] = queue_window_next(f.window, &err);
	queue_window_done(f.window, q[1]);
	queue_window_done(f.window, q[3]);
	fixture_reopen_window(&f);
	CHECK_INT(number_of(queue_window_next(f.window, &err)), 0);
	fixture_close(&f);
}

TEST("what was done up to some message does not come again")
{
	struct queued *q[4];
	struct err err = ERR_INIT;
	struct fixture f;

	fixture_open(&f, "done", 4);
	for (int i = 0; i < 4; i++)
		q[i] = queue_window_next(f.window, &err);
	queue_window_done(f.window, q[2]);
	queue_window_done(f.window, q[0]);
	queue_window_done(f.window, q[1]);
	fixture_reopen_window(&f);
	CHECK_INT(number_of(queue_window_next(f.window, &err)), 3);
	fixture_close(&f);
}

TEST("the window takes 4096 messages, and another one for each that is done")
{
	struct queued *first, *q;
	struct err err = ERR_INIT;
	struct fixture f;
	int n = 1;

	fixture_open(&f, "bounded", 5000);
	first = queue_window_next(f.window, &err);
	while ((q = queue_window_next(f.window, &err)))
		n++;
	CHECK_INT(n, 4096);
	CHECK_INT(err.kind, ERR_NONE);
	queue_window_done(f.window, first);
	CHECK_INT(number_of(queue_window_next(f.window, &err)), 4096);
	CHECK(!queue_window_next(f.window, &err));
	fixture_close(&f);
}

TEST("a message has who sent it, its properties as sent and its body; a will is marked as the hub would mark it")
{
	const struct queued *q;
	struct err err = ERR_INIT;
	struct fixture f;

	fixture_open(&f, "parts", 0);
	store_message(f.log, &(struct message){ .source = MESSAGE_TELEMETRY,
				     .device_id = slice_of("dev1"),
				     .module_id = slice_of("mod1"),
				     .generation_id = slice_of("g1"),
				     .bag = slice_of("a=1&%24.mid=x/"),
				     .payload = slice_of("body"),
				     .retain = true });
	store_message(f.log, &(struct message){ .source = MESSAGE_TELEMETRY,
				     .device_id = slice_of("dev1"),
				     .generation_id = slice_of(""),
				     .bag = slice_of("a=1"),
				     .payload = slice_of(""),
				     .is_will = true });
	event_log_close(f.log);
	f.log = event_log_open(&(struct event_log_config){ .dir = f.dir }, &err);
	q = queue_window_next(f.window, &err);
	CHECK_STR(q->device_id, "dev1");
	CHECK_STR(q->module_id, "mod1");
	CHECK_STR(q->generation_id, "g1");
	CHECK_STR(q->bag, "a=1&%24.mid=x/");
	CHECK_INT(q->len, 4);
	CHECK_MEM(q->payload, "body", 4);
	CHECK(q->retain);
	q = queue_window_next(f.window, &err);
	CHECK_STR(q->module_id, NULL);
	CHECK_STR(q->bag, "a=1&iothub-MessageType=Will");
	CHECK_INT(q->len, 0);
	fixture_close(&f);
}

TEST("a record that is no message is left out, and those behind it come")
{
	struct err err = ERR_INIT;
	struct fixture f;

	fixture_open(&f, "record", 1);
	store_bytes(f.log, "\x01\xff\xff", 3);
	store_numbers(f.log, 2, 1);
	event_log_close(f.log);
	f.log = event_log_open(&(struct event_log_config){ .dir = f.dir }, &err);
	CHECK_INT(number_of(queue_window_next(f.window, &err)), 0);
	CHECK_INT(number_of(queue_window_next(f.window, &err)), 2);
	CHECK_INT(err.kind, ERR_NONE);
	fixture_close(&f);
}

TEST("the position is kept also when the log was closed before")
{
	struct err err = ERR_INIT;
	struct fixture f;

	fixture_open(&f, "closed", 2);
	queue_window_done(f.window, queue_window_next(f.window, &err));
	event_log_close(f.log);
	queue_window_close(f.window);
	f.log = event_log_open(&(struct event_log_config){ .dir = f.dir }, &err);
	f.window = queue_window_open(f.dir, f.log, &err);
	CHECK_INT(number_of(queue_window_next(f.window, &err)), 1);
	fixture_close(&f);
}

TEST("segments whose messages are done are removed once the position is saved")
{
	OWN_TEXT dir = fresh_dir("removed");
	struct err err = ERR_INIT;
	struct event_log *log = log_with(dir, 1000, 20);
	struct queue_window *window = queue_window_open(dir, log, &err);
	struct queued *q;

	CHECK_INT(event_log_first(log), 0);
	for (int i = 0; i < 15 && (q = queue_window_next(window, &err)); i++)
		queue_window_done(window, q);
	CHECK_OK(queue_window_save(window, &err), err);
	queue_window_close(window);
	event_log_close(log); /* what it was told to forget has gone then */
	log = event_log_open(&(struct event_log_config){ .dir = dir, .segment_bytes = 1000 }, &err);
	CHECK(event_log_first(log) > 0);
	CHECK(event_log_first(log) <= 15);
	event_log_close(log);
}
