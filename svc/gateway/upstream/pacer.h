/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who of the lines may connect, and when: those whom something waits for first, each in its order, no faster than the pace (connect_pace.h) and no more of them on their way at a time than the
 * hub's handshakes keep up with.  Lives on one loop. */

#include "net/loop.h"

enum pacer_place { PACER_AWAY, PACER_WAITS, PACER_ON_ITS_WAY };
struct pacer_turn {
	void (*go)(struct pacer_turn *turn); /* on the loop, not from within pacer_ask */
	enum pacer_place place;
	bool is_urgent;
	struct pacer_turn *next, **link;
};

struct pacer;
struct pacer *pacer_new(struct loop *loop, int64_t per_second); /* 0: any number */
void pacer_free(struct pacer *pacer);

void pacer_ask(struct pacer *pacer, struct pacer_turn *turn, bool is_urgent); /* who waits already may become urgent */
/* How it went for one who was on its way; or that nobody wants it any more.  Of one that is away it says nothing. */
enum pacer_end { PACER_LET_IN, PACER_BUSY, PACER_FAILED };
void pacer_end(struct pacer *pacer, struct pacer_turn *turn, enum pacer_end how);
int64_t pacer_spread_ms(const struct pacer *pacer, size_t n); /* so many take so long */
