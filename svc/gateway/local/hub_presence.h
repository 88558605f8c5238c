/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Is the hub within reach?  Whoever talks to it says what came of it; status, metrics and the offline budget want to know since when.  Of the process, as there is one hub. */

#include <stdbool.h>
#include <stdint.h>

enum hub_reach { HUB_NOT_TRIED, HUB_REACHED, HUB_AWAY };

struct hub_presence {
	enum hub_reach reach;
	int64_t since;	  /* seconds UTC, as the clock was then; 0: HUB_NOT_TRIED */
	int64_t for_ms;	  /* by the boot clock */
	uint64_t n_times; /* that it got out of reach */
};

void hub_presence_begin(const char *id); /* as whom the gateway is in metrics: DEVICE/$edgeHub */
void hub_presence_note(bool reached);	 /* any thread, as often as one likes */
struct hub_presence hub_presence(void);	 /* any thread */
