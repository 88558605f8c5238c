/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How fast lines may connect: no more than so many a second, jittered, and slower while the hub says that it has too much to do (CONNACK 3).  It does not say for how long, so that ends
 * all connecting for a pause that doubles as long as nothing else is answered, and halves the rate; each connection that is let in brings some of the rate back.
 * It does not say either whether it means all, or only this identity (of which it may have two, a gateway above, or which may have had its share): so a pause begins when several of
 * them have heard it, and who hears it alone waits by itself, as after any other refusal.  Pure. */

#include <stdbool.h>
#include <stdint.h>

#define CONNECT_PAUSE_MIN_MS 500
#define CONNECT_PAUSE_MAX_MS 60000
#define CONNECT_SEVERAL 3	/* different ones */
#define CONNECT_WITHIN_MS 10000 /* refused in so short a time */

struct connect_refusal {
	const void *who; /* NULL: nobody */
	int64_t at_ms;
};

struct connect_pace {
	int64_t most;					 /* a second; 0: any number */
	int64_t rate;					 /* a second, now */
	int64_t next_us;				 /* boot clock: the next one's place, which a few may come before */
	int64_t paused_ms;				 /* boot clock: until then nobody connects */
	int64_t pause_ms;				 /* the last one; 0: somebody was let in since */
	struct connect_refusal refused[CONNECT_SEVERAL]; /* the latest, of different ones */
};

void connect_pace_init(struct connect_pace *pace, int64_t per_second);
int64_t connect_pace_wait_ms(const struct connect_pace *pace, int64_t now_ms); /* 0: one may begin */
void connect_pace_begin(struct connect_pace *pace, int64_t now_ms, uint32_t dice);
void connect_pace_let_in(struct connect_pace *pace);
/* How long the pause is that follows.  0: none, for it was on its way when one began, which says nothing new, or it may be meant alone.  who: which one, never looked into. */
int64_t connect_pace_refused(struct connect_pace *pace, const void *who, int64_t now_ms, uint32_t dice);
