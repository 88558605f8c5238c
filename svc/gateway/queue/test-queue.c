/* SPDX-License-Identifier: Apache-2.0 */
/* The queue as a whole: what the routes make of a message, on the disk before it is acknowledged, and no more than there may be. */
#include "gateway/queue/queue.h"

#include <pthread.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "gateway/queue/test_queue.h"

#define NOBODYS REASON_COUNT /* no route takes it */
#define ROUTES(rows) "{\"schemaVersion\":\"1.1\",\"routes\":{" rows "}}"

struct fixture {
	char *dir;
	struct loop *loop;
	struct queue *queue;
	uint64_t max_bytes;
	enum queue_when_full when_full;
};

struct answer {
	struct queue_storing storing;
	atomic_bool is_there;
	_Atomic(enum reason) why;
};

static void
on_answer(struct queue_storing *storing, enum reason why)
{
	struct answer *answer = CONTAINER_OF(storing, struct answer, storing);

	answer->why = why;
	answer->is_there = true;
}

static void
start(struct fixture *f)
{
	struct queue_config config = {
		.state_dir = f->dir, .edge_id = "edge", .max_bytes = f->max_bytes, .when_full = f->when_full
	};
	struct err err = ERR_INIT;

	f->loop = loop_new("test");
	config.loop = f->loop;
	f->queue = queue_open(&config, &err);
	if (!f->queue)
		fail_msg("%s", err.text);
	queue_add_lane(f->queue, &at_once);
}

static void
stop(struct fixture *f)
{
	queue_stop(f->queue);
	loop_finish(f->loop);
	queue_free(f->queue);
	loop_free(f->loop);
}

static void
end(struct fixture *f)
{
	stop(f);
	mem_free(f->dir);
}

static void
open_queue(struct fixture *f, const char *name)
{
	*f = (struct fixture){ .dir = fresh_dir(name), .max_bytes = 64 << 20 };
	start(f);
}

static void
restart(struct fixture *f)
{
	stop(f);
	start(f);
}

static void
set_routes(struct fixture *f, const char *text)
{
	struct err err = ERR_INIT;
	OWN(routes) routes = routes_parse(text, strlen(text), &err);

	if (!routes || queue_set_routes(f->queue, routes, &err) < 0)
		fail_msg("%s", err.text);
}

/* Is it acknowledged, or why not? */
static enum reason
ask_to_store(struct fixture *f, const char *device_id, const char *module_id, const char *bag, size_t len)
{
	static const char zeros[200000];
	struct answer answer = { .storing = { .done = on_answer,
					 .sender = queue_sender(
						 queue_lane(f->queue, &at_once), slice_of(device_id), slice_of(module_id)) } };
	struct message m = {
		.source = MESSAGE_TELEMETRY,
		.enqueued_ms = clock_wall_ms(),
		.device_id = slice_of(device_id),
		.module_id = slice_of(module_id),
		.bag = slice_of(bag),
		.payload = { zeros, len },
	};

	pthread_mutex_lock(&one_at_a_time);
	if (!queue_put(queue_lane(f->queue, &at_once), &m, *module_id != '\0', &answer.storing))
		on_answer(&answer.storing, NOBODYS);
	pthread_mutex_unlock(&one_at_a_time);
	while (!answer.is_there)
		sched_yield();
	return answer.why;
}

/* false: it was not acknowledged. */
static bool
put(struct fixture *f, const char *device_id, const char *module_id, const char *bag, size_t len)
{
	enum reason why = ask_to_store(f, device_id, module_id, bag, len);

	return why == OK || why == NOBODYS;
}

static struct queue_window *found;
static char found_name[64];

static void
note_input(void *arg, const char *module_id, const char *input, struct queue_window *window)
{
	const char *wanted = arg;

	snprintf(found_name, sizeof(found_name), "%s/%s", module_id, input);
	if (text_is(found_name, wanted))
		found = window;
}

static struct queue_window *
input_of(struct fixture *f, const char *name)
{
	found = NULL;
	queue_watch_inputs(f->queue, note_input, (void *)(uintptr_t)name);
	return found;
}

/* The bags of all that waits, in the order in which it comes. */
static char *
take_all(struct queue_window *window, enum queue_end how)
{
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT(1 << 20);
	struct queued *q;

	while ((q = queue_window_next(window, &err))) {
		buf_putf(&text, "%s ", q->bag);
		queue_window_end(window, q, how);
	}
	CHECK_INT(err.kind, ERR_NONE);
	return buf_take_text(&text);
}

static void
check_all(struct queue_window *window, const char *wanted)
{
	OWN_TEXT got = take_all(window, QUEUE_DONE);

	CHECK_STR(got, wanted);
}

TEST("without routes that were given everything goes to the hub")
{
	struct fixture f;

	open_queue(&f, "default");
	CHECK(put(&f, "leaf", "", "a=1", 10));
	CHECK(put(&f, "edge", "m", "a=2", 10));
	check_all(queue_upstream(f.queue), "a=1 a=2 ");
	end(&f);
}

TEST("a message goes once to each sink of its routes; one that no route takes to none, which is told")
{
	struct queue_totals totals;
	struct fixture f;

	open_queue(&f, "fan");
	set_routes(&f, ROUTES("\"a\":\"FROM /messages/events INTO $upstream\",\"b\":\"FROM /* WHERE n = '1' INTO $upstream\","
			      "\"c\":\"FROM /messages/* INTO BrokeredEndpoint('/modules/f/inputs/in')\","
			      "\"d\":\"FROM /messages/modules/m INTO BrokeredEndpoint('/modules/g/inputs/in')\""));
	CHECK(put(&f, "leaf", "", "n=1", 10));
	CHECK(put(&f, "edge", "m", "n=2", 10));
	set_routes(&f, ROUTES("\"a\":\"FROM /messages/modules/* INTO $upstream\""));
	CHECK_INT(ask_to_store(&f, "leaf", "", "n=3", 10), NOBODYS);
	check_all(queue_upstream(f.queue), "n=1 ");
	check_all(input_of(&f, "f/in"), "n=1 n=2 ");
	check_all(input_of(&f, "g/in"), "n=2 ");
	queue_totals(f.queue, &totals);
	CHECK_INT(totals.stored, 2);
	end(&f);
}

TEST("the lower number of priority is delivered first, whenever it came, and what has none last")
{
	struct fixture f;

	open_queue(&f, "priority");
	set_routes(&f, ROUTES("\"a\":\"FROM /* INTO $upstream\","
			      "\"b\":{\"route\":\"FROM /* WHERE p = '5' INTO $upstream\",\"priority\":5},"
			      "\"c\":{\"route\":\"FROM /* WHERE p = '0' INTO $upstream\",\"priority\":0}"));
	for (int i = 0; i < 2; i++) {
		CHECK(put(&f, "leaf", "", "p=none", 10));
		CHECK(put(&f, "leaf", "", "p=5", 10));
		CHECK(put(&f, "leaf", "", "p=0", 10));
	}
	restart(&f);
	check_all(queue_upstream(f.queue), "p=0 p=0 p=5 p=5 p=none p=none ");
	end(&f);
}

TEST("what a route keeps for a time only is gone after it, also from a queue that was closed meanwhile")
{
	struct fixture f;

	clock_set_for_test(1800000000);
	open_queue(&f, "time");
	set_routes(&f, ROUTES("\"a\":{\"route\":\"FROM /* WHERE s = '1' INTO $upstream\",\"timeToLiveSecs\":60},"
			      "\"b\":\"FROM /* WHERE NOT s = '1' INTO $upstream\""));
	CHECK(put(&f, "leaf", "", "s=1", 10));
	CHECK(put(&f, "leaf", "", "s=2", 10));
	restart(&f);
	clock_set_for_test(1800000061);
	check_all(queue_upstream(f.queue), "s=2 ");
	end(&f);
	clock_set_for_test(0);
}

TEST("what came while the clock had not been set does not expire when it is")
{
	struct fixture f;

	clock_set_for_test(4000);
	open_queue(&f, "clock");
	set_routes(&f, ROUTES("\"a\":{\"route\":\"FROM /* INTO $upstream\",\"timeToLiveSecs\":60}"));
	CHECK(put(&f, "leaf", "", "n=1", 10));
	clock_set_for_test(1800000000);
	check_all(queue_upstream(f.queue), "n=1 ");
	end(&f);
	clock_set_for_test(0);
}

TEST("what waits for an input that no route names any more is still delivered, and when all is, its folder goes")
{
	OWN_TEXT folder = NULL;
	struct fixture f;

	open_queue(&f, "old");
	folder = mem_textf("%s/queues/f@in@10", f.dir);
	set_routes(&f, ROUTES("\"a\":\"FROM /* INTO BrokeredEndpoint('/modules/f/inputs/in')\""));
	CHECK(put(&f, "leaf", "", "n=1", 10));
	restart(&f);
	CHECK(file_exists(folder));
	check_all(input_of(&f, "f/in"), "n=1 ");
	restart(&f);
	CHECK(!file_exists(folder));
	CHECK(!input_of(&f, "f/in"));
	end(&f);
}

/* The loop does what is to be done when a log is left. */
static void
wait_until_gone(struct fixture *f, const char *folder)
{
	while (file_exists(folder)) {
		queue_save(f->queue);
		loop_run_once(f->loop);
	}
}

TEST("a log that no route names any more goes when it is empty, also while the gateway runs, and another one has its place")
{
	struct fixture f;
	char name[32]; /* the queue is watched for it */

	open_queue(&f, "left");
	for (int i = 0; i < QUEUE_LOGS_MAX + 10; i++) {
		OWN_TEXT text = mem_textf(ROUTES("\"a\":\"FROM /* INTO BrokeredEndpoint('/modules/f/inputs/in%d')\""), i);
		OWN_TEXT folder = mem_textf("%s/queues/f@in%d@10", f.dir, i);

		snprintf(name, sizeof(name), "f/in%d", i);
		set_routes(&f, text);
		CHECK(put(&f, "leaf", "", "n=1", 10));
		set_routes(&f, ROUTES("\"a\":\"FROM /* INTO $upstream\""));
		queue_save(f.queue);
		CHECK(file_exists(folder));
		check_all(input_of(&f, name), "n=1 ");
		wait_until_gone(&f, folder);
		CHECK(put(&f, "leaf", "", "n=2", 10));
		check_all(queue_upstream(f.queue), "n=2 ");
	}
	set_routes(&f, ROUTES("\"a\":\"FROM /* INTO BrokeredEndpoint('/modules/f/inputs/in0')\""));
	CHECK(put(&f, "leaf", "", "n=3", 10));
	check_all(input_of(&f, "f/in0"), "n=3 ");
	end(&f);
}

/* In the place of libc's. */
static atomic_int n_unlinked, n_unlinked_here;
static pthread_t here;

int
unlinkat(int fd, const char *name, int flags)
{
	n_unlinked++;
	n_unlinked_here += pthread_equal(pthread_self(), here) != 0;
	return (int)syscall(SYS_unlinkat, fd, name, flags);
}

TEST("the files of a log that goes are not removed by the loop, and routes that name it again meanwhile have another one")
{
	struct fixture f;
	OWN_TEXT folder = NULL;

	open_queue(&f, "removed");
	folder = mem_textf("%s/queues/f@in@10", f.dir);
	set_routes(&f, ROUTES("\"a\":\"FROM /* INTO BrokeredEndpoint('/modules/f/inputs/in')\""));
	CHECK(put(&f, "leaf", "", "n=1", 10));
	check_all(input_of(&f, "f/in"), "n=1 ");
	set_routes(&f, ROUTES("\"a\":\"FROM /* INTO $upstream\""));
	n_unlinked = n_unlinked_here = 0;
	here = pthread_self();
	wait_until_gone(&f, folder);
	set_routes(&f, ROUTES("\"a\":\"FROM /* INTO BrokeredEndpoint('/modules/f/inputs/in')\""));
	CHECK(put(&f, "leaf", "", "n=2", 10));
	check_all(input_of(&f, "f/in"), "n=2 ");
	while (n_unlinked == 0)
		loop_run_once(f.loop);
	CHECK_INT(n_unlinked_here, 0);
	here = 0;
	end(&f);
}

TEST("the queue of a gateway from before there were routes is delivered, with the position that it had")
{
	struct fixture f = { .dir = fresh_dir("before"), .max_bytes = 64 << 20 };
	OWN_TEXT dir = mem_textf("%s/queue", f.dir);
	struct err err = ERR_INIT;

	CHECK_OK(file_make_dir(f.dir, 0700, &err), err);
	event_log_close(log_with(dir, 2200, 6));
	CHECK_OK(event_cursor_save(dir, QUEUE_CURSOR, 4, &err), err);
	start(&f);
	for (int i = 4; i < 6; i++)
		CHECK_INT(number_of(queue_window_next(queue_upstream(f.queue), &err)), i);
	CHECK(!queue_window_next(queue_upstream(f.queue), &err));
	end(&f);
}

TEST("routes to more inputs and priorities than there may be are refused, and those before stay")
{
	CLEAR(buf) text = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	OWN(routes) routes = NULL;
	struct fixture f;

	open_queue(&f, "many");
	buf_puts(&text, "{\"schemaVersion\":\"1.1\",\"routes\":{\"a\":\"FROM /* INTO BrokeredEndpoint('/modules/a/inputs/i')\"");
	for (int i = 0; i < QUEUE_LOGS_MAX; i++)
		buf_putf(&text, ",\"b%d\":\"FROM /* INTO BrokeredEndpoint('/modules/b/inputs/i%d')\"", i, i);
	buf_puts(&text, "}}");
	routes = routes_parse(buf_text(&text), text.len, &err);
	CHECK(routes);
	CHECK(queue_set_routes(f.queue, routes, &err) < 0);
	CHECK_ERR(err, ERR_LIMIT, "more than 64 inputs and priorities");
	CHECK(put(&f, "leaf", "", "n=1", 10));
	check_all(queue_upstream(f.queue), "n=1 ");
	end(&f);
}

/* As many as fit, up to `n`. */
static int
fill_by(struct fixture *f, const char *device_id, int n)
{
	int stored = 0;

	while (stored < n && put(f, device_id, "", "x=", 100000))
		stored++;
	return stored;
}

static int
fill(struct fixture *f, int n)
{
	return fill_by(f, "leaf", n);
}

static void
run_loop(struct fixture *f, const uint64_t below)
{
	struct queue_totals totals;

	do {
		loop_run_once(f->loop);
		queue_totals(f->queue, &totals);
	} while (totals.bytes > below);
}

TEST("a queue that refuses when it is full takes no more than it may, and takes more when some is done, whatever it is in")
{
	struct queue_totals totals;
	struct fixture f = { .dir = fresh_dir("refuse"), .max_bytes = 2 << 20 };
	int first, more;

	start(&f);
	set_routes(&f, ROUTES("\"a\":\"FROM /* INTO $upstream\",\"b\":\"FROM /* INTO BrokeredEndpoint('/modules/f/inputs/in')\""));
	first = fill(&f, 100);
	CHECK(first >= 8 && first <= 9);
	queue_totals(f.queue, &totals);
	CHECK(totals.bytes <= totals.max_bytes);
	CHECK_INT(totals.refused, 1);
	CHECK_INT(ask_to_store(&f, "leaf", "", "x=", 100000), QUEUE_FULL);
	mem_free(take_all(queue_upstream(f.queue), QUEUE_DONE));
	queue_save(f.queue);
	run_loop(&f, (3 << 20) / 2);
	more = fill(&f, 100);
	CHECK(more >= 3 && more < first);
	end(&f);
}

TEST("who floods a queue that refuses leaves room for others, also after a restart, and is taken again when his messages have left")
{
	struct fixture f = { .dir = fresh_dir("fair"), .max_bytes = 4 << 20 };

	start(&f);
	CHECK(fill_by(&f, "flood", 100) > 30);
	CHECK_INT(ask_to_store(&f, "flood", "", "", 100000), QUEUE_FULL);
	for (int i = 0; i < 20; i++)
		CHECK(put(&f, "quiet", "", "", 1000));
	CHECK_INT(ask_to_store(&f, "flood", "m", "", 100000), QUEUE_FULL);
	CHECK(put(&f, "edge", "m", "", 1000));
	restart(&f);
	CHECK_INT(ask_to_store(&f, "flood", "", "", 100000), QUEUE_FULL);
	CHECK(put(&f, "quiet", "", "", 100000));
	mem_free(take_all(queue_upstream(f.queue), QUEUE_DONE));
	CHECK(put(&f, "flood", "", "", 100000)); /* also before the disk has its room back */
	end(&f);
}

TEST("with a log that nobody reads nobody is refused for good but by what he has in it, and he is when that has left")
{
	struct fixture f = { .dir = fresh_dir("unread"), .max_bytes = 4 << 20 };
	struct queue_totals totals;

	start(&f);
	set_routes(&f, ROUTES("\"a\":\"FROM /* WHERE x = '' INTO BrokeredEndpoint('/modules/f/inputs/in')\","
			      "\"b\":\"FROM /* WHERE y = '' INTO $upstream\""));
	CHECK(fill_by(&f, "stuck", 100) > 30);
	queue_totals(f.queue, &totals);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 5; i++)
			CHECK(put(&f, "a", "", "y=", 30000));
		CHECK_INT(ask_to_store(&f, "stuck", "", "y=", 100000), QUEUE_FULL);
		mem_free(take_all(queue_upstream(f.queue), round % 2 ? QUEUE_GIVEN_UP : QUEUE_EXPIRED));
		queue_save(f.queue);
		run_loop(&f, totals.bytes + 100000);
	}
	mem_free(take_all(input_of(&f, "f/in"), QUEUE_DONE));
	CHECK(put(&f, "stuck", "", "y=", 100000));
	end(&f);
}

static atomic_bool is_disk_broken;

/* In the place of libc's. */
int
fdatasync(int fd)
{
	errno = EIO;
	return is_disk_broken ? -1 : (int)syscall(SYS_fdatasync, fd);
}

TEST("what the disk has not taken is nobody's share, be it for one sink or several")
{
	struct fixture f = { .dir = fresh_dir("unstored"), .max_bytes = 4 << 20 };

	start(&f);
	set_routes(&f, ROUTES("\"a\":\"FROM /* INTO $upstream\","
			      "\"b\":\"FROM /* WHERE two = '' INTO BrokeredEndpoint('/modules/f/inputs/in')\""));
	is_disk_broken = true;
	for (int i = 0; i < 50; i++)
		CHECK_INT(ask_to_store(&f, "leaf", "", i % 2 ? "two=" : "", 100000), UNAVAILABLE);
	is_disk_broken = false;
	CHECK(fill_by(&f, "other", 100) > 30);
	CHECK(put(&f, "leaf", "", "", 100000));
	end(&f);
}

struct seen {
	uint64_t dropped[ROUTE_PRIORITIES];
};

static void
note_dropped(void *arg, const struct queue_log_counts *counts)
{
	struct seen *seen = arg;

	if (!counts->module_id)
		seen->dropped[counts->priority] += counts->counts.dropped;
}

static uint64_t
dropped_of(struct fixture *f, int priority)
{
	struct seen seen = { 0 };

	queue_each_log(f->queue, note_dropped, &seen);
	return seen.dropped[priority];
}

TEST("a queue that drops its oldest takes what comes, and drops of the lowest priority first; what is counted is what is missing")
{
	struct fixture f = { .dir = fresh_dir("drop"), .max_bytes = 4 << 20, .when_full = QUEUE_DROP_OLDEST };
	struct seen seen = { 0 };
	struct err err = ERR_INIT;
	uint64_t n_low = 0, n_high = 0;
	struct queued *q;

	start(&f);
	set_routes(&f, ROUTES("\"a\":\"FROM /* INTO $upstream\",\"b\":{\"route\":\"FROM /* WHERE p = '0' INTO "
			      "$upstream\",\"priority\":0}"));
	for (int i = 0; i < 10; i++)
		CHECK(put(&f, "leaf", "", "p=0", 100000));
	for (int i = 0; i < 100; i++) {
		CHECK(put(&f, "leaf", "", "p=9", 100000));
		run_loop(&f, (4 << 20) - (4 << 20) / 8);
	}
	while ((q = queue_window_next(queue_upstream(f.queue), &err))) {
		*(q->priority == 0 ? &n_high : &n_low) += 1;
		queue_window_done(queue_upstream(f.queue), q);
	}
	while (n_low + dropped_of(&f, ROUTE_LOWEST) < 100) /* what is being counted */
		loop_run_once(f.loop);
	queue_each_log(f.queue, note_dropped, &seen);
	CHECK_INT(n_high, 10);
	CHECK_INT(seen.dropped[0], 0);
	CHECK(n_low > 10 && n_low < 40);
	CHECK_INT(n_low + seen.dropped[ROUTE_LOWEST], 100);
	end(&f);
}

TEST("where dropping comes late, a queue takes up to a quarter more, and at least 8 MiB, refuses then, and goes on once there is "
     "room")
{
	struct fixture f = { .dir = fresh_dir("late"), .max_bytes = 4 << 20, .when_full = QUEUE_DROP_OLDEST };
	struct queue_totals totals;
	int n = 0;

	start(&f);
	while (n < 200 && put(&f, "leaf", "", "", 100000))
		n++;
	queue_totals(f.queue, &totals);
	CHECK(totals.bytes > 11 << 20 && totals.bytes <= 12 << 20);
	CHECK(n < 200);
	run_loop(&f, (4 << 20) - (4 << 20) / 8);
	CHECK(put(&f, "leaf", "", "", 100000));
	end(&f);
}

TEST("routes may lower what the queue takes, not raise it")
{
	struct queue_totals totals;
	struct fixture f;

	open_queue(&f, "limits");
	set_routes(&f,
		"{\"schemaVersion\":\"1.1\",\"routes\":{},\"storeAndForwardConfiguration\":{\"timeToLiveSecs\":1,\"storeLimits\":{"
		"\"maxSizeBytes\":1000}}}");
	queue_totals(f.queue, &totals);
	CHECK_INT(totals.max_bytes, 1000);
	set_routes(&f,
		"{\"schemaVersion\":\"1.1\",\"storeAndForwardConfiguration\":{\"storeLimits\":{\"maxSizeBytes\":100000000000}}}");
	queue_totals(f.queue, &totals);
	CHECK_INT(totals.max_bytes, 64 << 20);
	end(&f);
}

/* Another thread than that of the loop stores, while the routes change under it. */
static void *
put_many(void *arg)
{
	struct fixture *f = arg;
	static atomic_int n_ok;

	for (int i = 0; i < 500; i++)
		n_ok += put(f, "leaf", "", "n=1", 10);
	return &n_ok;
}

TEST("routes change while messages are stored, and each goes where some routes sent it")
{
	struct fixture f;
	pthread_t thread;
	void *n_ok;
	OWN_TEXT upstream = NULL;
	OWN_TEXT input = NULL;

	open_queue(&f, "change");
	CHECK_INT(pthread_create(&thread, NULL, put_many, &f), 0);
	for (int i = 0; i < 40; i++)
		set_routes(&f, i % 2 ? ROUTES("\"a\":\"FROM /* INTO $upstream\"")
				     : ROUTES("\"a\":\"FROM /* INTO BrokeredEndpoint('/modules/f/inputs/in')\""));
	pthread_join(thread, &n_ok);
	CHECK_INT(*(atomic_int *)n_ok, 500);
	upstream = take_all(queue_upstream(f.queue), QUEUE_DONE);
	input = take_all(input_of(&f, "f/in"), QUEUE_DONE);
	CHECK_INT(strlen(upstream) + strlen(input), 500 * strlen("n=1 "));
	end(&f);
}
