/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Are the lines to the hub carried by one connection, or does each have its own, and why?  Who opens them says so; status and metrics want to know, and since when.  Of the process, as there is one hub. */

#include <stddef.h>
#include <stdint.h>

enum carriage_state {
	CARRIAGE_NOT_TRIED,
	CARRIAGE_CARRIED,
	CARRIAGE_NOT_OFFERED, /* by the hub */
	CARRIAGE_REFUSED,     /* with another status */
	CARRIAGE_NOT_REACHED, /* the hub; or something that asking needs */
	CARRIAGE_PROXY,	      /* stands before the hub, and doesn't lead to it */
	CARRIAGE_STATES
};
#define CARRIAGE_WHY_LEN 200

struct carriage {
	enum carriage_state state;
	int64_t since; /* seconds UTC, as the clock was then; 0: CARRIAGE_NOT_TRIED */
	int64_t for_ms;
	size_t n_carried, n_alone;  /* lines that are connected */
	char why[CARRIAGE_WHY_LEN]; /* as it was told last; "" while they are carried */
};

const char *carriage_state_name(enum carriage_state state);

void carriage_note(enum carriage_state state, const char *why); /* any thread, as often as one likes */
enum carriage_line { CARRIAGE_LINE_DOWN, CARRIAGE_LINE_CARRIED, CARRIAGE_LINE_ALONE, CARRIAGE_LINES };
void carriage_count(enum carriage_line before, enum carriage_line now); /* one line */
struct carriage carriage(void);						/* any thread */
