/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An event loop, on epoll.  A loop belongs to one thread; what is created on it is used on its thread only.  Other threads reach it by loop_post, or through its struct owner. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/post.h"

struct loop;

struct loop *loop_new(const char *name);
/* Once it no longer runs, and nobody posts to it any more: ends its connections (on_close) and runs what was posted.  Whoever lives on it is freed next. */
void loop_finish(struct loop *loop);
void loop_free(struct loop *loop); /* finishes it, if that was not done */
OWN_DEFINE(loop);
void loop_run(struct loop *loop);  /* until loop_stop */
void loop_stop(struct loop *loop); /* any thread */
/* For calls that block, on this thread: runs until *done, which something on the loop sets; or takes one look at what is ready. */
void loop_run_until(struct loop *loop, const bool *done);
void loop_run_once(struct loop *loop);
int loop_start_thread(struct loop *loop, struct err *err); /* loop_run on a thread of its own */
void loop_join(struct loop *loop);

/* How long does this loop keep those who wait?  From its next loop_run on the CPU time of each turn is measured, which is all that happens between two looks at what is ready;
 * it costs a turn a call of the kernel.  Ask once it no longer runs. */
void loop_watch_turns(struct loop *loop);
struct loop_turns {
	uint64_t n;
	int64_t longest_us, sum_us; /* of CPU time: what the kernel gave to others in between does not count */
};
struct loop_turns loop_turns(const struct loop *loop);
const char *loop_name(const struct loop *loop);

struct owner *loop_owner(struct loop *loop);
void loop_post(struct loop *loop, struct post *post); /* any thread */
bool loop_is_mine(const struct loop *loop);	      /* am I on its thread? */

/* A timer, embedded.  One shot; arm it again for a period.  Cancelling or re-arming is cheap. */
struct timer {
	void (*fire)(struct timer *timer);
	struct loop *loop;
	int64_t due_ms; /* boot clock */
	size_t place;	/* net/timer_heap.h's; 0: not armed */
};
void timer_init(struct timer *timer, struct loop *loop, void (*fire)(struct timer *timer));
void timer_arm(struct timer *timer, int64_t after_ms);
void timer_cancel(struct timer *timer);

/* A descriptor to watch, embedded; one a descriptor.  It is cleared before the descriptor is closed. */
enum watch_for { WATCH_READ = 1, WATCH_WRITE = 2 };
struct watch {
	void (*ready)(struct watch *watch, unsigned what);
	struct loop *loop;
	int fd;
	unsigned what; /* is watched for now */
};
void watch_init(struct watch *watch, struct loop *loop, int fd, void (*ready)(struct watch *watch, unsigned what));
void watch_set(struct watch *watch, unsigned what); /* level-triggered; 0 stops */
void watch_clear(struct watch *watch);

/* SIGTERM and SIGINT stop the loop, SIGHUP calls reload (NULL: ignored); SIGPIPE is ignored for the process. */
void loop_handle_signals(struct loop *loop, void (*reload)(void *arg), void *arg);
/* SIGTERM and SIGINT call this instead, for what is to be finished first; if they come again they stop the loop. */
void loop_on_terminate(struct loop *loop, void (*terminate)(void *arg), void *arg);
