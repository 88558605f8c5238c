/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Is the hub within reach, and does it serve this gateway?  Whoever talks to it says what came of it; status, metrics and the offline budget want to know since when.  Of the process, as there is one hub. */

#include "gateway/local/hub_word.h"

#define HUB_WHY_MAX 256

struct hub_presence {
	enum hub_reach reach;
	int64_t since;	       /* seconds UTC, by the clock as it is now; 0: HUB_NOT_TRIED */
	int64_t for_ms;	       /* by the boot clock */
	uint64_t n_times;      /* that it got out of reach */
	char why[HUB_WHY_MAX]; /* HUB_REFUSES: what it said; "" otherwise */
};

void hub_presence_begin(const char *id); /* as whom the gateway is in metrics: DEVICE/$edgeHub */
/* Any thread, as often as one likes. */
void hub_presence_reached(void); /* it has answered, as to one whom it serves */
void hub_presence_lost(
	void); /* a connection failed, which changes nothing while it is known to refuse this gateway: such a hub may close them without a word */
void hub_presence_away(void);		    /* a question that $edgeHub itself put to it had no answer */
void hub_presence_refuses(const char *why); /* it had one, and that was no, about this gateway */
struct hub_presence hub_presence(void);
