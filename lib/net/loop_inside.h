/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: what connections need of their loop. */

#include "net/loop.h"

/* Something to do when the current event is over: once, however often it is asked for. */
struct later {
	void (*run)(struct later *later);
	struct later *next;
	bool queued;
};
void loop_later(struct loop *loop, struct later *later);
void loop_forget_later(struct loop *loop, struct later *later);

bool loop_is_running(const struct loop *loop);
/* A job that a worker will post back: loop_free waits for it.  +1 when it leaves, -1 when it is back. */
void loop_expect(struct loop *loop, int more);

/* One buffer for everybody's reading. */
#define LOOP_READ_LEN 65536
uint8_t *loop_read_buffer(struct loop *loop);

/* The connections of a loop, by a number that is never used twice. */
struct conn;
uint64_t loop_add_conn(struct loop *loop, struct conn *conn);
void loop_remove_conn(struct loop *loop, uint64_t id);
struct conn *loop_find_conn(struct loop *loop, uint64_t id);
/* Calls for each; it may remove the one it is called with. */
void loop_each_conn(struct loop *loop, void (*call)(struct conn *conn));
