/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whose turn it is to do something that one does at a time, and that may take long: who has only so much time waits no longer than that, counted from when the turn was taken, so that a crowd that waits for
 * one that is stuck is not served by and by, but told at once. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct turn {
	pthread_mutex_t lock;
	pthread_cond_t is_free;
	bool is_taken;
	int64_t since_ms; /* boot clock */
};

void turn_init(struct turn *turn);
void turn_destroy(struct turn *turn);
void turn_take(struct turn *turn);
/* False: whoever has it has had it for so long. */
bool turn_take_within(struct turn *turn, int64_t within_ms);
void turn_end(struct turn *turn);
