/* SPDX-License-Identifier: Apache-2.0 */
/* Loops: posts, timers, descriptors, "later", signals. */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "net/loop_inside.h"
#include "test_fixture.h"

struct note {
	struct post post;
	struct loop *loop;
	int number, *next;
	bool in_order, ran, on_loop;
};

static void
on_note(struct post *post)
{
	struct note *n = CONTAINER_OF(post, struct note, post);

	n->ran = true;
	n->on_loop = loop_is_mine(n->loop);
	n->in_order = (*n->next)++ == n->number;
}

#define NOTES 1000

struct sender {
	struct loop *loop;
	struct note notes[NOTES];
	int next;
};

static void *
send_notes(void *arg)
{
	struct sender *s = arg;

	for (int i = 0; i < NOTES; i++) {
		s->notes[i] = (struct note){ .post.run = on_note, .loop = s->loop, .number = i, .next = &s->next };
		loop_post(s->loop, &s->notes[i].post);
	}
	return NULL;
}

static bool
all_notes_ran(void *arg)
{
	struct sender *s = arg;

	return s->next == NOTES;
}

TEST("posts of another thread run on the loop's thread, in their order")
{
	OWN(loop) loop = loop_new("test");
	struct sender *s = NEW(sender);
	pthread_t thread;

	s->loop = loop;
	pthread_create(&thread, NULL, send_notes, s);
	CHECK(until(loop, all_notes_ran, s));
	pthread_join(thread, NULL);
	for (int i = 0; i < NOTES; i++)
		CHECK(s->notes[i].in_order && s->notes[i].on_loop);
	mem_free(s);
}

TEST("a loop that is freed still runs what was posted to it")
{
	struct loop *loop = loop_new("test");
	int next = 0;
	struct note note = { .post.run = on_note, .loop = loop, .next = &next };

	loop_post(loop, &note.post);
	loop_free(loop);
	CHECK(note.ran);
}

TEST("a loop on a thread of its own with a long name runs until it is stopped")
{
	OWN(loop) loop = loop_new("a name that the kernel would refuse");
	struct err err = ERR_INIT;

	CHECK(!loop_is_running(loop));
	CHECK_OK(loop_start_thread(loop, &err), err);
	CHECK(loop_is_running(loop));
	CHECK(!loop_is_mine(loop));
	loop_stop(loop);
	loop_join(loop);
	CHECK(!loop_is_running(loop));
}

struct load {
	struct post post;
	int64_t compute_us, wait_ms;
};

static void
on_load(struct post *post)
{
	struct load *load = CONTAINER_OF(post, struct load, post);
	int64_t until = clock_thread_us() + load->compute_us;

	while (clock_thread_us() < until)
		;
	poll(NULL, 0, (int)load->wait_ms);
}

TEST("the longest turn of a loop that is watched is the one that computes longest, not one that only waits; without being asked "
     "nothing is measured")
{
	OWN(loop) loop = loop_new("test");
	OWN(loop) other = loop_new("other");
	struct load computes = { .post.run = on_load, .compute_us = 20000 }, waits = { .post.run = on_load, .wait_ms = 300 };

	loop_watch_turns(loop);
	loop_post(loop, &computes.post);
	run_for(loop, 30);
	CHECK(loop_turns(loop).longest_us >= 20000);
	loop_post(loop, &waits.post);
	run_for(loop, 30);
	CHECK(loop_turns(loop).longest_us < 300000);
	CHECK(loop_turns(loop).n >= 4);
	CHECK(loop_turns(loop).sum_us >= loop_turns(loop).longest_us);
	computes.compute_us = 1000;
	loop_post(other, &computes.post);
	run_for(other, 30);
	CHECK_INT(loop_turns(other).longest_us, 0);
}

struct alarm_clock {
	struct timer timer;
	int fired, *order;
};

static void
on_alarm(struct timer *timer)
{
	struct alarm_clock *a = CONTAINER_OF(timer, struct alarm_clock, timer);

	a->fired = ++*a->order;
}

TEST("timers fire in the order of their times; a cancelled one does not; arming again replaces")
{
	OWN(loop) loop = loop_new("test");
	int order = 0;
	struct alarm_clock a = { .order = &order }, b = a, c = a;

	timer_init(&a.timer, loop, on_alarm);
	timer_init(&b.timer, loop, on_alarm);
	timer_init(&c.timer, loop, on_alarm);
	timer_arm(&a.timer, 40);
	timer_arm(&b.timer, 10);
	timer_arm(&c.timer, 5);
	timer_cancel(&c.timer);
	timer_arm(&a.timer, 20);
	run_for(loop, 60);
	CHECK_INT(b.fired, 1);
	CHECK_INT(a.fired, 2);
	CHECK_INT(c.fired, 0);
}

struct pipe_end {
	struct watch watch;
	bool was_ready;
};

static void
on_pipe(struct watch *watch, unsigned what)
{
	struct pipe_end *p = CONTAINER_OF(watch, struct pipe_end, watch);

	p->was_ready = what == WATCH_READ;
	watch_set(watch, 0);
}

#define CROWD 500

struct crowd {
	struct loop *loop;
	struct watch watch[CROWD];
	struct post post;
	struct timer timer;
	int n, n_at_post, n_at_timer;
};

static struct crowd *crowd;

static void
on_crowd_post(struct post *post)
{
	(void)post;
	crowd->n_at_post = crowd->n;
}

static void
on_crowd_timer(struct timer *timer)
{
	(void)timer;
	crowd->n_at_timer = crowd->n;
}

static void
on_crowd(struct watch *watch, unsigned what)
{
	(void)what;
	if (crowd->n++ == 0) {
		loop_post(crowd->loop, &crowd->post);
		timer_arm(&crowd->timer, 0);
	}
	watch_set(watch, 0);
}

static bool
crowd_is_served(void *arg)
{
	(void)arg;
	return crowd->n == CROWD && crowd->n_at_post > 0 && crowd->n_at_timer > 0;
}

TEST("when many descriptors become ready at once, a post and a timer wait for a part of them only, and all are served")
{
	OWN(loop) loop = loop_new("test");

	crowd = NEW(crowd);
	crowd->loop = loop;
	crowd->post.run = on_crowd_post;
	timer_init(&crowd->timer, loop, on_crowd_timer);
	for (int i = 0; i < CROWD; i++) {
		watch_init(&crowd->watch[i], loop, eventfd(1, EFD_CLOEXEC), on_crowd);
		watch_set(&crowd->watch[i], WATCH_READ);
	}
	CHECK(until(loop, crowd_is_served, NULL));
	CHECK(crowd->n_at_post < CROWD / 2);
	CHECK(crowd->n_at_timer < CROWD / 2);
	for (int i = 0; i < CROWD; i++)
		close(crowd->watch[i].fd);
	mem_free(crowd);
}

static void
on_pair(struct watch *watch, unsigned what)
{
	struct crowd *c = crowd;

	(void)what;
	c->n++;
	watch_clear(watch == &c->watch[0] ? &c->watch[1] : &c->watch[0]);
	watch_clear(watch);
}

TEST("a descriptor that is no longer watched is not told of, though it had become ready together with the one that ended it")
{
	OWN(loop) loop = loop_new("test");

	crowd = NEW(crowd);
	for (int i = 0; i < 2; i++) {
		watch_init(&crowd->watch[i], loop, eventfd(1, EFD_CLOEXEC), on_pair);
		watch_set(&crowd->watch[i], WATCH_READ);
	}
	run_for(loop, 5);
	CHECK_INT(crowd->n, 1);
	for (int i = 0; i < 2; i++)
		close(crowd->watch[i].fd);
	mem_free(crowd);
}

struct burst {
	struct post posts[CROWD];
	int n;
	struct watch watch;
	int n_at_ready;
};

static struct burst *burst;

static void
on_burst_post(struct post *post)
{
	(void)post;
	burst->n++;
}

static void
on_burst_ready(struct watch *watch, unsigned what)
{
	(void)what;
	burst->n_at_ready = burst->n;
	if (burst->n > 0)
		watch_set(watch, 0);
}

static bool
burst_is_over(void *arg)
{
	(void)arg;
	return burst->n == CROWD;
}

TEST("many posts leave descriptors their turn, and all of them run")
{
	OWN(loop) loop = loop_new("test");

	burst = NEW(burst);
	watch_init(&burst->watch, loop, eventfd(1, EFD_CLOEXEC), on_burst_ready);
	watch_set(&burst->watch, WATCH_READ);
	for (int i = 0; i < CROWD; i++) {
		burst->posts[i].run = on_burst_post;
		loop_post(loop, &burst->posts[i]);
	}
	CHECK(until(loop, burst_is_over, NULL));
	CHECK(burst->n_at_ready > 0 && burst->n_at_ready < CROWD / 2);
	close(burst->watch.fd);
	mem_free(burst);
}

struct busy {
	struct later later;
	struct loop *loop;
	int n;
};

#define N_LONG 64

static void
on_later(struct later *later)
{
	struct busy *b = CONTAINER_OF(later, struct busy, later);

	b->n++;
	loop_later(b->loop, later);
}

TEST("work that always asks for more leaves descriptors their turn")
{
	OWN(loop) loop = loop_new("test");
	struct busy busy = { .later.run = on_later, .loop = loop };
	struct pipe_end end = { .was_ready = false };
	int fds[2];

	CHECK(pipe(fds) == 0 && write(fds[1], "x", 1) == 1);
	watch_init(&end.watch, loop, fds[0], on_pipe);
	loop_later(loop, &busy.later);
	watch_set(&end.watch, WATCH_READ);
	CHECK(until(loop, until_true, &end.was_ready));
	CHECK(busy.n > 0);
	loop_forget_later(loop, &busy.later);
	close(fds[0]);
	close(fds[1]);
}

static void
on_long(struct later *later)
{
	int64_t end_ms = clock_boot_ms() + 2;

	CONTAINER_OF(later, struct busy, later)->n++;
	while (clock_boot_ms() < end_ms)
		;
}

static bool
all_have_run(void *arg)
{
	struct busy *all = arg;

	for (int i = 0; i < N_LONG; i++)
		if (all[i].n == 0)
			return false;
	return true;
}

TEST("of later work that takes long, the rest is another turn's, and all of it is done once")
{
	OWN(loop) loop = loop_new("test");
	struct busy all[N_LONG] = { 0 };
	int n = 0;

	for (int i = 0; i < N_LONG; i++) {
		all[i] = (struct busy){ .later.run = on_long, .loop = loop };
		loop_later(loop, &all[i].later);
	}
	loop_run_once(loop);
	for (int i = 0; i < N_LONG; i++)
		n += all[i].n;
	CHECK(n < N_LONG);
	CHECK(until(loop, all_have_run, all));
	for (int i = 0; i < N_LONG; i++)
		CHECK_INT(all[i].n, 1);
}

static void
on_once(struct later *later)
{
	CONTAINER_OF(later, struct busy, later)->n++;
}

TEST("later work runs once however often it was asked for, and not when it was forgotten")
{
	OWN(loop) loop = loop_new("test");
	struct busy wanted = { .later.run = on_once, .loop = loop }, forgotten = wanted;

	loop_later(loop, &forgotten.later);
	loop_later(loop, &wanted.later);
	loop_later(loop, &wanted.later);
	loop_forget_later(loop, &forgotten.later);
	run_for(loop, 5);
	CHECK_INT(wanted.n, 1);
	CHECK_INT(forgotten.n, 0);
}

static void
on_reload(void *arg)
{
	*(bool *)arg = true;
}

TEST("SIGHUP calls reload, SIGTERM ends the loop, SIGPIPE is nothing")
{
	OWN(loop) loop = loop_new("test");
	bool reloaded = false;

	loop_handle_signals(loop, on_reload, &reloaded);
	kill(getpid(), SIGPIPE);
	kill(getpid(), SIGHUP);
	CHECK(until(loop, until_true, &reloaded));
	kill(getpid(), SIGTERM);
	loop_run(loop);
}

static void
on_pipe_raise(struct watch *watch, unsigned what)
{
	(void)what;
	watch_set(watch, 0);
	kill(getpid(), SIGTERM);
}

struct guard {
	struct timer timer;
	bool was_late;
};

static void
on_guard(struct timer *timer)
{
	CONTAINER_OF(timer, struct guard, timer)->was_late = true;
}

TEST("a signal that comes while the loop is awake, and about to hear of one before, is not slept over")
{
	OWN(loop) loop = loop_new("test");
	struct guard guard = { .was_late = false };
	struct watch watch;
	bool reloaded = false;
	int fds[2];

	loop_handle_signals(loop, on_reload, &reloaded);
	timer_init(&guard.timer, loop, on_guard);
	timer_arm(&guard.timer, 5000);
	CHECK(pipe(fds) == 0 && write(fds[1], "x", 1) == 1);
	watch_init(&watch, loop, fds[0], on_pipe_raise);
	watch_set(&watch, WATCH_READ);
	kill(getpid(), SIGHUP); /* ready behind the pipe */
	loop_run(loop);
	CHECK(reloaded && !guard.was_late);
	timer_cancel(&guard.timer);
	close(fds[0]);
	close(fds[1]);
}
