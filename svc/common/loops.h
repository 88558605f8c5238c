/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The loops of a server: one a core, "loop-0" on the thread of main, each other on a thread of its own. */

#include "net/loop.h"

#define LOOPS_MAX 64

struct loops {
	struct loop *item[LOOPS_MAX];
	size_t n;
};

void loops_init(struct loops *loops, size_t n);	       /* 0: one a core; at the most LOOPS_MAX */
int loops_start(struct loops *loops, struct err *err); /* the threads of all but the first */
void loops_stop(struct loops *loops);		       /* and their end; then this thread may touch what each of them has */
void loops_abort_connections(struct loops *loops);     /* after that */
void loops_clear(struct loops *loops);		       /* what still comes back to them is run */
