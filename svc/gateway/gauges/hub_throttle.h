/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub has said of having too much to do, and what this gateway leaves alone because of it: calls over HTTPS until the time that the answer named (Retry-After), connections of lines for a
 * pause of our own (CONNACK 3).  Of the process, as what it counts is; any thread. */

#include <stddef.h>
#include <stdint.h>

#include "net/http_client.h"

#define HUB_THROTTLE_MAX_S 300 /* whatever a hub asks for */

struct hub_throttle {
	int64_t calls_ms, lines_ms; /* how long they still wait; 0: they do not */
	size_t n_lines;		    /* that wait for their turn to connect */
};
struct hub_throttle hub_throttle(void);

/* An answer to a call: 429, or 503 that says when to come again. */
void hub_throttle_note_answer(const struct http_answer *answer);
int64_t hub_throttle_calls_ms(void);
/* -1: the hub asked not to be called for a while yet, and is not. */
int hub_throttle_check(struct err *err);

void hub_throttle_pause_lines(int64_t ms);
void hub_throttle_note_lines(size_t n);
