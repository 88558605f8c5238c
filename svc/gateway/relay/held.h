/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The cloud-to-device messages that a gateway holds for one name, in their order: each belongs to the generation that the hub sent it to, is given to one connection once, and is let go of before the
 * hub's own lock on it ends, so that it is never here and on its way a second time from there.  No I/O, no clock, no lock. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rd.h"

#define HELD_MAX 32	    /* the hub has 16 on their way, the original's up to 50 */
#define HELD_MS (50 * 1000) /* hubs lock for a minute */

struct held_command {
	uint64_t number; /* the session's name for it */
	uint64_t id;	 /* the line's */
	char *bag, *generation_id;
	uint8_t *payload;
	size_t len;
	int64_t until_ms; /* boot clock */
	const void *loop; /* the connection that has seen it; NULL: none */
	uint64_t conn_id;
	bool is_over; /* settled, or let go of */
	bool is_told; /* that it is let go of, to its session */
};

struct held {
	struct held_command list[HELD_MAX];
	size_t n;
};
void held_clear(struct held *held);

/* What is borrowed is copied.  false: there is no room. */
bool held_add(struct held *held, uint64_t number, uint64_t id, const char *generation_id, struct slice bag, struct slice payload,
	int64_t now_ms);
struct held_command *held_find(struct held *held, uint64_t number); /* NULL: there is none, or it is over */
void held_end_late(struct held *held, int64_t now_ms);
void held_end_all(struct held *held);
/* Those that are over and of which nobody has to be told. */
void held_forget(struct held *held, bool somebody_listens);
/* A session has to be told something of it. */
bool held_has_work(const struct held *held);
int64_t held_next_end_ms(const struct held *held); /* INT64_MAX: none */

bool held_was_seen(const struct held_command *command, const void *loop, uint64_t conn_id);
void held_see(struct held_command *command, const void *loop, uint64_t conn_id);
/* Another generation has no part in it; "" is whichever. */
bool held_is_for(const struct held_command *command, const char *generation_id);
