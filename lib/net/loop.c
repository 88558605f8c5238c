/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: libevent's, wrapped.  Two things are added: posts from other threads, which arrive through an eventfd in batches, and "later", work that waits until
 * the event at hand is over, so that a connection writes once a turn and is never freed under its own callback. */
#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/conn.h"
#include "net/loop_inside.h"
#include "net/resolve.h"
#include "net/timer_heap.h"

#define SLOT_BITS 24
#define SLOTS_MAX (1u << SLOT_BITS)

static_assert(sizeof(struct event) <= sizeof(((struct watch *)0)->impl), "struct event fits into a watch");

/* Rounds of "later" work in one turn: enough for a connection to die, end and be freed; what asks for more waits until the others had a look at their descriptors. */
#define ROUNDS_A_TURN 3
/* And no more pieces of it than take a few milliseconds: when thousands of connections break at once, ending all of them in one turn would keep the clock and the posts waiting. */
#define LATER_A_TURN 256

struct loop {
	struct owner owner;
	struct event_base *base;
	char *name;
	struct event wake, turn, alarm, signals[3];
	struct timer_heap timers;
	int64_t alarm_ms; /* when the alarm comes; 0: not set */
	int wake_fd;
	pthread_mutex_t lock; /* of the posts */
	struct post *first, **last;
	struct later *later_first, **later_last;
	size_t n_later;
	bool in_turn;
	uint8_t *read_buffer;
	struct conn **slots;
	uint64_t *slot_ids;
	uint32_t n_slots, *free_slots, n_free;
	void (*reload)(void *arg);
	void *reload_arg;
	pthread_t thread;
	bool has_thread;
	size_t n_away; /* jobs with workers that will come back */
	_Atomic(pthread_t) runs_on;
	struct loop_turns turns;
	bool turns_are_watched;
};

static struct post *
take_posts(struct loop *loop)
{
	struct post *first;

	pthread_mutex_lock(&loop->lock);
	first = loop->first;
	loop->first = NULL;
	loop->last = &loop->first;
	pthread_mutex_unlock(&loop->lock);
	return first;
}

static void
run_posts(struct loop *loop)
{
	struct post *post = take_posts(loop);

	while (post) {
		struct post *next = post->next; /* running it may free it */

		post->run(post);
		post = next;
	}
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;
	ssize_t got = read((int)fd, &n, sizeof(n));

	(void)what;
	(void)got;
	run_posts(arg);
}

/* Returns how many may still be run in this turn. */
static size_t
run_round(struct loop *loop, size_t left)
{
	for (size_t n = loop->n_later; n > 0 && left > 0 && loop->later_first; n--, left--) {
		struct later *later = loop->later_first;

		loop->later_first = later->next;
		if (!loop->later_first)
			loop->later_last = &loop->later_first;
		loop->n_later--;
		later->queued = false;
		later->run(later);
	}
	return left;
}

static void
run_later(struct loop *loop, size_t at_most)
{
	loop->in_turn = true;
	for (int i = 0; i < ROUNDS_A_TURN && loop->later_first; i++)
		at_most = run_round(loop, at_most);
	loop->in_turn = false;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once;
	struct loop *loop = arg;

	(void)fd;
	(void)what;
	run_later(loop, LATER_A_TURN);
	/* A timer, because an event made active here would run before descriptors are looked at. */
	if (loop->later_first)
		event_add(&loop->turn, &at_once);
}

/* -- The clock ------------------------------------------------------------------------------------------------------------------- */

/* When libevent wakes us: no later than the first timer is due.  An alarm that comes too early, because that one was cancelled, costs one look. */
static void
set_alarm(struct loop *loop)
{
	const struct timer *first = timer_heap_first(&loop->timers);
	int64_t ms;
	struct timeval tv;

	if (!first || (loop->alarm_ms != 0 && loop->alarm_ms <= first->due_ms))
		return;
	loop->alarm_ms = first->due_ms;
	ms = first->due_ms - clock_boot_ms();
	ms = ms < 0 ? 0 : ms;
	tv = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	event_add(&loop->alarm, &tv);
}

/* As many as there are now, so that one that arms itself again at once leaves descriptors their turn. */
static void
on_alarm(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	int64_t now_ms = clock_boot_ms();
	struct timer *first;

	(void)fd;
	(void)what;
	loop->alarm_ms = INT64_MIN; /* those that are armed meanwhile wait for the end of this */
	for (size_t n = loop->timers.n; n > 0 && (first = timer_heap_first(&loop->timers)) && first->due_ms <= now_ms; n--) {
		timer_heap_remove(&loop->timers, first);
		first->fire(first);
	}
	loop->alarm_ms = 0;
	set_alarm(loop);
}

/* -- Loops ------------------------------------------------------------------------------------------------------------------------ */

static void
post_to(struct owner *owner, struct post *post)
{
	loop_post(CONTAINER_OF(owner, struct loop, owner), post);
}

struct loop *
loop_new(const char *name)
{
	struct loop *loop = NEW(loop);
	struct event_config *config = event_config_new();

	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	assert(loop->base);
	loop->name = mem_text(name);
	loop->owner.post = post_to;
	loop->last = &loop->first;
	loop->later_last = &loop->later_first;
	loop->read_buffer = mem_new(LOOP_READ_LEN);
	pthread_mutex_init(&loop->lock, NULL);
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert(loop->wake_fd >= 0);
	event_assign(&loop->wake, loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
	event_add(&loop->wake, NULL);
	event_assign(&loop->turn, loop->base, -1, 0, on_turn, loop);
	event_assign(&loop->alarm, loop->base, -1, 0, on_alarm, loop);
	return loop;
}

/* Connections end with the loop, each by its on_close; what is on its way here must still be freed by its own code. */
void
loop_finish(struct loop *loop)
{
	resolve_forget(loop);
	conn_abort_all(loop);
	/* A handshake that a worker still has comes back as a post. */
	while (loop->n_away > 0) {
		struct pollfd wake = { .fd = loop->wake_fd, .events = POLLIN };

		poll(&wake, 1, -1);
		on_wake(loop->wake_fd, 0, loop);
	}
	for (int i = 0; i < 16 && (loop->later_first || loop->first); i++) {
		run_posts(loop);
		run_later(loop, SIZE_MAX);
	}
}

void
loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop_finish(loop);
	for (size_t i = 0; i < COUNT(loop->signals); i++)
		if (event_initialized(&loop->signals[i]))
			event_del(&loop->signals[i]);
	event_del(&loop->wake);
	event_del(&loop->turn);
	event_del(&loop->alarm);
	timer_heap_clear(&loop->timers);
	event_base_free(loop->base);
	close(loop->wake_fd);
	pthread_mutex_destroy(&loop->lock);
	mem_free(loop->read_buffer);
	mem_free(loop->slots);
	mem_free(loop->slot_ids);
	mem_free(loop->free_slots);
	mem_free(loop->name);
	mem_free(loop);
}

static void
run_watched(struct loop *loop)
{
	int64_t before = clock_thread_us();

	do {
		int64_t now, spent;

		event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
		now = clock_thread_us();
		spent = now - before;
		before = now;
		loop->turns.n++;
		loop->turns.sum_us += spent;
		if (spent > loop->turns.longest_us)
			loop->turns.longest_us = spent;
	} while (!event_base_got_exit(loop->base));
}

void
loop_run(struct loop *loop)
{
	loop->runs_on = pthread_self();
	if (loop->turns_are_watched)
		run_watched(loop);
	else
		event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
	loop->runs_on = 0;
}

void
loop_watch_turns(struct loop *loop)
{
	loop->turns_are_watched = true;
}

struct loop_turns
loop_turns(const struct loop *loop)
{
	return loop->turns;
}

const char *
loop_name(const struct loop *loop)
{
	return loop->name;
}

void
loop_run_until(struct loop *loop, const bool *done)
{
	assert(!loop_is_running(loop));
	loop->runs_on = pthread_self();
	while (!*done)
		event_base_loop(loop->base, EVLOOP_ONCE);
	loop->runs_on = 0;
}

void
loop_run_once(struct loop *loop)
{
	assert(!loop_is_running(loop));
	loop->runs_on = pthread_self();
	event_base_loop(loop->base, EVLOOP_NONBLOCK);
	loop->runs_on = 0;
}

struct stop {
	struct post post;
	struct loop *loop;
};

static void
stop_now(struct post *post)
{
	struct stop *stop = CONTAINER_OF(post, struct stop, post);

	event_base_loopexit(stop->loop->base, NULL);
	mem_free(stop);
}

void
loop_stop(struct loop *loop)
{
	struct stop *stop = NEW(stop);

	stop->post.run = stop_now;
	stop->loop = loop;
	loop_post(loop, &stop->post);
}

static void *
thread_main(void *arg)
{
	struct loop *loop = arg;

	char short_name[16]; /* the kernel's limit; a longer one would be refused */

	snprintf(short_name, sizeof(short_name), "%.15s", loop->name);
	pthread_setname_np(pthread_self(), short_name);
	loop_run(loop);
	return NULL;
}

int
loop_start_thread(struct loop *loop, struct err *err)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all); /* signals are for the main thread */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	failed = pthread_create(&loop->thread, NULL, thread_main, loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return err_set(err, ERR_UNAVAILABLE, "starting the thread %s: %s", loop->name, strerror(failed));
	loop->has_thread = true;
	loop->runs_on = loop->thread; /* from now on, not from when the thread gets to it */
	return 0;
}

void
loop_join(struct loop *loop)
{
	if (loop->has_thread)
		pthread_join(loop->thread, NULL);
	loop->has_thread = false;
}

struct owner *
loop_owner(struct loop *loop)
{
	return &loop->owner;
}

void
loop_post(struct loop *loop, struct post *post)
{
	bool was_empty;
	uint64_t one = 1;
	ssize_t put;

	post->next = NULL;
	pthread_mutex_lock(&loop->lock);
	was_empty = !loop->first;
	*loop->last = post;
	loop->last = &post->next;
	pthread_mutex_unlock(&loop->lock);
	if (was_empty) {
		put = write(loop->wake_fd, &one, sizeof(one));
		(void)put;
	}
}

bool
loop_is_running(const struct loop *loop)
{
	return loop->runs_on != 0;
}

bool
loop_is_mine(const struct loop *loop)
{
	return pthread_equal(loop->runs_on, pthread_self());
}

/* -- Later ---------------------------------------------------------------------------------------------------------------------- */

void
loop_later(struct loop *loop, struct later *later)
{
	if (later->queued)
		return;
	later->queued = true;
	later->next = NULL;
	if (!loop->later_first && !loop->in_turn)
		event_active(&loop->turn, EV_TIMEOUT, 0);
	*loop->later_last = later;
	loop->later_last = &later->next;
	loop->n_later++;
}

void
loop_forget_later(struct loop *loop, struct later *later)
{
	struct later **at = &loop->later_first;

	if (!later->queued)
		return;
	while (*at != later)
		at = &(*at)->next;
	*at = later->next;
	if (!*at)
		loop->later_last = at;
	loop->n_later--;
	later->queued = false;
}

uint8_t *
loop_read_buffer(struct loop *loop)
{
	return loop->read_buffer;
}

void
loop_expect(struct loop *loop, int more)
{
	loop->n_away += (size_t)more;
}

/* -- Connections by number ------------------------------------------------------------------------------------------------------ */

/* Numbers are the process' own, so that one names a connection in a log whatever its loop is. */
static atomic_uint_fast64_t last_number;

uint64_t
loop_add_conn(struct loop *loop, struct conn *conn)
{
	uint32_t slot;

	if (loop->n_free == 0) {
		uint32_t more = loop->n_slots ? loop->n_slots : 64;

		assert(loop->n_slots + more <= SLOTS_MAX);
		loop->slots = mem_resize(loop->slots, (loop->n_slots + more) * sizeof(*loop->slots));
		loop->slot_ids = mem_resize(loop->slot_ids, (loop->n_slots + more) * sizeof(*loop->slot_ids));
		loop->free_slots = mem_resize(loop->free_slots, (loop->n_slots + more) * sizeof(*loop->free_slots));
		for (uint32_t i = 0; i < more; i++) {
			loop->slots[loop->n_slots + i] = NULL;
			loop->free_slots[loop->n_free++] = loop->n_slots + more - 1 - i;
		}
		loop->n_slots += more;
	}
	slot = loop->free_slots[--loop->n_free];
	loop->slots[slot] = conn;
	loop->slot_ids[slot] = ++last_number << SLOT_BITS | slot;
	return loop->slot_ids[slot];
}

void
loop_remove_conn(struct loop *loop, uint64_t id)
{
	uint32_t slot = id & (SLOTS_MAX - 1);

	loop->slots[slot] = NULL;
	loop->free_slots[loop->n_free++] = slot;
}

struct conn *
loop_find_conn(struct loop *loop, uint64_t id)
{
	uint32_t slot = id & (SLOTS_MAX - 1);

	return slot < loop->n_slots && loop->slots[slot] && loop->slot_ids[slot] == id ? loop->slots[slot] : NULL;
}

void
loop_each_conn(struct loop *loop, void (*call)(struct conn *conn))
{
	for (uint32_t i = 0; i < loop->n_slots; i++)
		if (loop->slots[i])
			call(loop->slots[i]);
}

/* -- Timers and descriptors ------------------------------------------------------------------------------------------------------ */

void
timer_init(struct timer *timer, struct loop *loop, void (*fire)(struct timer *timer))
{
	*timer = (struct timer){ .fire = fire, .loop = loop };
}

/* The clock counts whole milliseconds: one more, so that it is never too early. */
void
timer_arm(struct timer *timer, int64_t after_ms)
{
	timer_heap_put(&timer->loop->timers, timer, clock_boot_ms() + (after_ms > 0 ? after_ms + 1 : 0));
	set_alarm(timer->loop);
}

void
timer_cancel(struct timer *timer)
{
	if (timer->place)
		timer_heap_remove(&timer->loop->timers, timer);
}

static struct event *
watch_event(struct watch *watch)
{
	return (struct event *)(void *)watch->impl;
}

static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;

	(void)fd;
	watch->ready(watch, (what & EV_READ ? WATCH_READ : 0) | (what & EV_WRITE ? WATCH_WRITE : 0));
}

void
watch_init(struct watch *watch, struct loop *loop, int fd, void (*ready)(struct watch *watch, unsigned what))
{
	watch->ready = ready;
	event_assign(watch_event(watch), loop->base, fd, EV_PERSIST, on_ready, watch);
}

void
watch_set(struct watch *watch, unsigned what)
{
	struct event *event = watch_event(watch);
	short wanted = (short)((what & WATCH_READ ? EV_READ : 0) | (what & WATCH_WRITE ? EV_WRITE : 0));

	if ((event_get_events(event) & (EV_READ | EV_WRITE)) == wanted &&
		(event_pending(event, EV_READ | EV_WRITE, NULL) != 0) == (wanted != 0))
		return;
	event_del(event);
	if (wanted == 0)
		return;
	event_assign(event, event_get_base(event), event_get_fd(event), (short)(wanted | EV_PERSIST), on_ready, watch);
	event_add(event, NULL);
}

void
watch_clear(struct watch *watch)
{
	event_del(watch_event(watch));
}

/* -- Signals ---------------------------------------------------------------------------------------------------------------------- */

static void
on_end_signal(evutil_socket_t number, short what, void *arg)
{
	struct loop *loop = arg;

	(void)number;
	(void)what;
	event_base_loopexit(loop->base, NULL);
}

static void
on_reload_signal(evutil_socket_t number, short what, void *arg)
{
	struct loop *loop = arg;

	(void)number;
	(void)what;
	if (loop->reload)
		loop->reload(loop->reload_arg);
}

void
loop_handle_signals(struct loop *loop, void (*reload)(void *arg), void *arg)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGPIPE, &ignore, NULL);
	loop->reload = reload;
	loop->reload_arg = arg;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		event_assign(&loop->signals[i], loop->base, numbers[i], EV_SIGNAL | EV_PERSIST,
			numbers[i] == SIGHUP ? on_reload_signal : on_end_signal, loop);
		event_add(&loop->signals[i], NULL);
	}
}
