/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: epoll, in turns.  A turn takes what is ready, then what other threads posted, then the timers that are due, then "later": work that waits until the event at
 * hand is over, so that a connection writes once a turn and is never freed under its own callback.
 *
 * A turn does so many pieces of each kind and no more, because thousands of connections may break, leave or come at the same moment, and whoever waits for the loop waits for
 * its turn to end.  What is left over is first in the next one, and no kind waits for another to be done: the kernel deals out the ready descriptors in a ring, posts and
 * timers are looked at in each turn. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/conn.h"
#include "net/loop_inside.h"
#include "net/resolve.h"
#include "net/timer_heap.h"

#define SLOT_BITS 24
#define SLOTS_MAX (1u << SLOT_BITS)

/* 128 of each are a millisecond or two.  Of "later" twice as many, because a connection that breaks needs two pieces to be gone: it must keep up with those that become ready. */
#define READY_A_TURN 128
#define POSTS_A_TURN 128
#define TIMERS_A_TURN 128
#define LATER_A_TURN 256
/* Some pieces cost fifty times what others do: reading a CONNECT is one, and everybody's comes in the same turn when everybody comes back.  The rest is the next turn's. */
#define LATER_MS 3
#define LOOK_EVERY 8
/* Rounds of "later" work in one turn: enough for a connection to die, end and be freed; what asks for more waits until the others had a look at their descriptors. */
#define ROUNDS_A_TURN 3
#define ROUNDS_AT_END 1000

static const int signal_numbers[] = { SIGTERM, SIGINT, SIGHUP };

struct loop {
	struct owner owner;
	int epoll_fd;
	char *name;
	struct epoll_event ready[READY_A_TURN]; /* of this turn */
	int n_ready;				/* those from here on are not called any more */
	struct timer_heap timers;
	struct watch wake;     /* an eventfd */
	atomic_bool is_asleep; /* or about to be: who posts must wake it */
	pthread_mutex_t lock;  /* of the posts that arrive */
	struct post *_Atomic arrived;
	struct post **last_arrived;
	struct post *posts; /* those that this turn left over */
	struct later *later_first, **later_last;
	size_t n_later;
	bool stopping;
	uint8_t *read_buffer;
	struct conn **slots;
	uint64_t *slot_ids;
	uint32_t n_slots, *free_slots, n_free;
	void (*reload)(void *arg);
	void *reload_arg;
	void (*terminate)(void *arg);
	void *terminate_arg;
	bool handles_signals;
	struct sigaction signals_before[COUNT(signal_numbers)];
	pthread_t thread;
	bool has_thread;
	size_t n_away; /* jobs with workers that will come back */
	_Atomic(pthread_t) runs_on;
	struct loop_turns turns;
	bool turns_are_watched;
};

/* -- Posts ------------------------------------------------------------------------------------------------------------------------ */

static void
wake(int wake_fd)
{
	uint64_t one = 1;
	ssize_t put = write(wake_fd, &one, sizeof(one));

	(void)put;
}

static void
on_wake(struct watch *watch, unsigned what)
{
	uint64_t n;
	ssize_t got = read(watch->fd, &n, sizeof(n));

	(void)what;
	(void)got;
}

/* Whoever posts after this looked sees that it is asleep. */
static bool
may_sleep(struct loop *loop)
{
	loop->is_asleep = true;
	if (!loop->arrived)
		return true;
	loop->is_asleep = false;
	return false;
}

static struct post *
take_arrived(struct loop *loop)
{
	struct post *first;

	if (!loop->arrived)
		return NULL;
	pthread_mutex_lock(&loop->lock);
	first = loop->arrived;
	loop->arrived = NULL;
	pthread_mutex_unlock(&loop->lock);
	return first;
}

/* Those that arrive meanwhile are the next turn's. */
static void
run_posts(struct loop *loop)
{
	if (!loop->posts)
		loop->posts = take_arrived(loop);
	for (int n = POSTS_A_TURN; n > 0 && loop->posts; n--) {
		struct post *post = loop->posts;

		loop->posts = post->next; /* running it may free it */
		post->run(post);
	}
}

void
loop_post(struct loop *loop, struct post *post)
{
	post->next = NULL;
	pthread_mutex_lock(&loop->lock);
	if (loop->arrived)
		*loop->last_arrived = post;
	else
		loop->arrived = post;
	loop->last_arrived = &post->next;
	pthread_mutex_unlock(&loop->lock);
	if (loop->is_asleep && atomic_exchange(&loop->is_asleep, false))
		wake(loop->wake.fd);
}

static void
post_to(struct owner *owner, struct post *post)
{
	loop_post(CONTAINER_OF(owner, struct loop, owner), post);
}

/* -- Later ---------------------------------------------------------------------------------------------------------------------- */

/* Returns how many may still be run in this turn. */
static size_t
run_round(struct loop *loop, size_t left, int64_t until_ms)
{
	for (size_t n = loop->n_later; n > 0 && left > 0 && loop->later_first; n--, left--) {
		struct later *later = loop->later_first;

		if (left % LOOK_EVERY == 0 && clock_boot_ms() > until_ms)
			return 0;
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
run_later(struct loop *loop, size_t at_most, int64_t until_ms)
{
	for (int i = 0; i < ROUNDS_A_TURN && loop->later_first; i++)
		at_most = run_round(loop, at_most, until_ms);
}

void
loop_later(struct loop *loop, struct later *later)
{
	if (later->queued)
		return;
	later->queued = true;
	later->next = NULL;
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

/* -- Timers ------------------------------------------------------------------------------------------------------------------------ */

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
}

void
timer_cancel(struct timer *timer)
{
	if (timer->place)
		timer_heap_remove(&timer->loop->timers, timer);
}

/* As many as there are now, so that one that arms itself again at once leaves descriptors their turn. */
static void
fire_timers(struct loop *loop)
{
	struct timer *first = timer_heap_first(&loop->timers);
	size_t n = loop->timers.n < TIMERS_A_TURN ? loop->timers.n : TIMERS_A_TURN;
	int64_t now_ms = first ? clock_boot_ms() : 0;

	for (; n > 0 && first && first->due_ms <= now_ms; n--) {
		timer_heap_remove(&loop->timers, first);
		first->fire(first);
		first = timer_heap_first(&loop->timers);
	}
}

static int
ms_to_first_timer(const struct loop *loop)
{
	const struct timer *first = timer_heap_first(&loop->timers);
	int64_t ms = first ? first->due_ms - clock_boot_ms() : -1;

	if (!first)
		return -1;
	return ms < 0 ? 0 : ms < INT_MAX ? (int)ms : INT_MAX;
}

#ifdef __SANITIZE_THREAD__
/* What is none: a descriptor's number that one loop closed is another loop's next connection, and what orders the two is in the kernel, where the sanitizer does not see it; jansson counts references
 * atomically, but looks at first whether it is one of its constants, which have no count; libssl counts
 * those to a session where the sanitizer does not see it, and whoever frees it as the last one is after all who have read it. */
const char *__tsan_default_suppressions(void);
const char *
__tsan_default_suppressions(void)
{
	return "race:epoll_ctl\nrace:json_incref\nrace:json_decref\nrace:^SSL_free$\n";
}
#endif

/* -- Descriptors -------------------------------------------------------------------------------------------------------------------- */

void
watch_init(struct watch *watch, struct loop *loop, int fd, void (*ready)(struct watch *watch, unsigned what))
{
	*watch = (struct watch){ .ready = ready, .loop = loop, .fd = fd };
}

/* The kernel has told of it already, but it may be gone, or have another descriptor, when its place in the turn comes. */
static void
forget_ready(struct loop *loop, const struct watch *watch)
{
	for (int i = 0; i < loop->n_ready; i++)
		if (loop->ready[i].data.ptr == watch)
			loop->ready[i].data.ptr = NULL;
}

/* What the kernel has no room for is not watched, and `what` says so: a connection ends by its timer, whoever has none looks. */
void
watch_set(struct watch *watch, unsigned what)
{
	struct epoll_event event = { .data.ptr = watch };

	if (watch->what == what)
		return;
	if (what == 0) {
		forget_ready(watch->loop, watch);
		epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
		watch->what = 0;
		return;
	}
	event.events = (what & WATCH_READ ? (uint32_t)EPOLLIN : 0) | (what & WATCH_WRITE ? (uint32_t)EPOLLOUT : 0);
	if (epoll_ctl(watch->loop->epoll_fd, watch->what == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, watch->fd, &event) == 0)
		watch->what = what;
}

void
watch_clear(struct watch *watch)
{
	watch_set(watch, 0);
}

/* Of an error and of the end whoever watches hears by what it waits for: its next read or write says it. */
static unsigned
what_is_ready(uint32_t events)
{
	if (events & (EPOLLERR | EPOLLHUP))
		return WATCH_READ | WATCH_WRITE;
	return (events & EPOLLIN ? WATCH_READ : 0u) | (events & EPOLLOUT ? WATCH_WRITE : 0u);
}

static void
call_ready(struct loop *loop)
{
	for (int i = 0; i < loop->n_ready; i++) {
		struct watch *watch = loop->ready[i].data.ptr;
		unsigned what = watch ? what_is_ready(loop->ready[i].events) & watch->what : 0;

		if (what != 0)
			watch->ready(watch, what);
	}
	loop->n_ready = 0;
}

/* -- Signals ---------------------------------------------------------------------------------------------------------------------- */

/* They belong to the process, and so to one of its loops. */
static atomic_uint signals_seen; /* a bit for each of signal_numbers */
static atomic_int signals_wake_fd = -1;

static void
on_signal(int number)
{
	int before = errno;

	for (size_t i = 0; i < COUNT(signal_numbers); i++)
		if (signal_numbers[i] == number)
			atomic_fetch_or(&signals_seen, 1u << i);
	wake(signals_wake_fd);
	errno = before;
}

static void
be_terminated(struct loop *loop)
{
	void (*terminate)(void *arg) = loop->terminate;

	loop->terminate = NULL;
	if (terminate)
		terminate(loop->terminate_arg);
	else
		loop->stopping = true;
}

static void
take_signals(struct loop *loop)
{
	unsigned seen = loop->handles_signals && signals_seen ? atomic_exchange(&signals_seen, 0) : 0;

	for (size_t i = 0; i < COUNT(signal_numbers); i++) {
		if (!(seen & 1u << i))
			continue;
		if (signal_numbers[i] != SIGHUP)
			be_terminated(loop);
		else if (loop->reload)
			loop->reload(loop->reload_arg);
	}
}

void
loop_on_terminate(struct loop *loop, void (*terminate)(void *arg), void *arg)
{
	loop->terminate = terminate;
	loop->terminate_arg = arg;
}

void
loop_handle_signals(struct loop *loop, void (*reload)(void *arg), void *arg)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, note = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGPIPE, &ignore, NULL);
	loop->reload = reload;
	loop->reload_arg = arg;
	loop->handles_signals = true;
	signals_wake_fd = loop->wake.fd;
	sigfillset(&note.sa_mask);
	for (size_t i = 0; i < COUNT(signal_numbers); i++)
		sigaction(signal_numbers[i], &note, &loop->signals_before[i]);
}

static void
give_signals_back(struct loop *loop)
{
	if (!loop->handles_signals)
		return;
	for (size_t i = 0; i < COUNT(signal_numbers); i++)
		sigaction(signal_numbers[i], &loop->signals_before[i], NULL);
	signals_wake_fd = -1;
}

/* -- Turns ------------------------------------------------------------------------------------------------------------------------ */

/* wait: there may be nothing to do. */
static void
turn(struct loop *loop, bool wait)
{
	wait = wait && !loop->later_first && !loop->posts && may_sleep(loop);
	loop->n_ready = epoll_wait(loop->epoll_fd, loop->ready, READY_A_TURN, wait ? ms_to_first_timer(loop) : 0);
	loop->is_asleep = false;
	call_ready(loop);
	take_signals(loop); /* after the wake descriptor was emptied: one that comes later fills it again */
	run_posts(loop);
	fire_timers(loop);
	if (loop->later_first)
		run_later(loop, LATER_A_TURN, clock_boot_ms() + LATER_MS);
}

static void
watched_turn(struct loop *loop, int64_t *before_us)
{
	int64_t now_us, spent_us;

	turn(loop, true);
	now_us = clock_thread_us();
	spent_us = now_us - *before_us;
	*before_us = now_us;
	loop->turns.n++;
	loop->turns.sum_us += spent_us;
	if (spent_us > loop->turns.longest_us)
		loop->turns.longest_us = spent_us;
}

void
loop_run(struct loop *loop)
{
	int64_t before_us = clock_thread_us();

	loop->runs_on = pthread_self();
	for (loop->stopping = false; !loop->stopping;)
		if (loop->turns_are_watched)
			watched_turn(loop, &before_us);
		else
			turn(loop, true);
	loop->runs_on = 0;
}

void
loop_run_until(struct loop *loop, const bool *done)
{
	assert(!loop_is_running(loop));
	loop->runs_on = pthread_self();
	while (!*done)
		turn(loop, true);
	loop->runs_on = 0;
}

void
loop_run_once(struct loop *loop)
{
	assert(!loop_is_running(loop));
	loop->runs_on = pthread_self();
	turn(loop, false);
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

	stop->loop->stopping = true;
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

/* -- Loops ------------------------------------------------------------------------------------------------------------------------ */

struct loop *
loop_new(const char *name)
{
	struct loop *loop = NEW(loop);
	int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	assert(loop->epoll_fd >= 0 && wake_fd >= 0);
	loop->name = mem_text(name);
	loop->owner.post = post_to;
	loop->later_last = &loop->later_first;
	loop->read_buffer = mem_resize(NULL, LOOP_READ_LEN); /* not zeroed: pages of it that nobody reads into are none */
	pthread_mutex_init(&loop->lock, NULL);
	watch_init(&loop->wake, loop, wake_fd, on_wake);
	watch_set(&loop->wake, WATCH_READ);
	assert(loop->wake.what == WATCH_READ);
	return loop;
}

/* A handshake that a worker still has comes back as a post. */
static void
wait_for_workers(struct loop *loop)
{
	struct pollfd wake = { .fd = loop->wake.fd, .events = POLLIN };

	while (loop->n_away > 0) {
		if (!loop->posts && may_sleep(loop))
			poll(&wake, 1, -1);
		on_wake(&loop->wake, WATCH_READ);
		run_posts(loop);
	}
}

/* Connections end with the loop, each by its on_close; what is on its way here must still be freed by its own code.  What never ends by itself is not waited for. */
void
loop_finish(struct loop *loop)
{
	resolve_forget(loop);
	conn_abort_all(loop);
	wait_for_workers(loop);
	for (int i = 0; i < ROUNDS_AT_END && (loop->later_first || loop->posts || loop->arrived); i++) {
		do
			run_posts(loop);
		while (loop->posts);
		run_later(loop, SIZE_MAX, INT64_MAX);
	}
}

void
loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop_finish(loop);
	give_signals_back(loop);
	timer_heap_clear(&loop->timers);
	close(loop->epoll_fd);
	close(loop->wake.fd);
	pthread_mutex_destroy(&loop->lock);
	mem_free(loop->read_buffer);
	mem_free(loop->slots);
	mem_free(loop->slot_ids);
	mem_free(loop->free_slots);
	mem_free(loop->name);
	mem_free(loop);
}

const char *
loop_name(const struct loop *loop)
{
	return loop->name;
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
