/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Is the hub within reach, and does it serve this gateway?  Whoever talks to it says what came of it; status, metrics and the offline budget want to know since when.  Of the process, as there is one hub.
 *
 * Below another gateway all that is about that one, and what lies beyond it is as it says (hub_word.h): a parent that takes everything may itself be without the hub. */

#include "gateway/gauges/hub_word.h"

#define HUB_WHY_MAX 256

struct hub_presence {
	enum hub_reach reach;  /* of those right above: the hub, or the parent */
	int64_t since;	       /* seconds UTC, by the clock as it is now; 0: HUB_NOT_TRIED */
	int64_t for_ms;	       /* by the boot clock */
	uint64_t n_times;      /* that it got out of reach */
	char why[HUB_WHY_MAX]; /* HUB_REFUSES: what it said; "" otherwise */
	struct hub_beyond {
		enum hub_reach reach;		   /* HUB_NOT_TRIED: there is no parent, or it does not tell */
		int64_t since, for_ms;		   /* as above; 0 with HUB_NOT_TRIED, and with HUB_REACHED since it was heard */
		char gateway[IDENTITY_ID_MAX + 1]; /* which of those above is without it */
	} beyond;
};

void hub_presence_begin(
	const char *edge_id, const char *id, bool has_parent); /* id: as whom the gateway is in metrics: DEVICE/$edgeHub */
/* `changed` is called when it is another than before, on the thread that found it out.  NULL, with no other thread left: nobody wants to know any more. */
void hub_presence_watch(void (*changed)(void *arg), void *arg);
/* Any thread, as often as one likes. */
void hub_presence_reached(void); /* it has answered, as to one whom it serves */
void hub_presence_lost(
	void); /* a connection failed, which changes nothing while it is known to refuse this gateway: such a hub may close them without a word */
void hub_presence_away(void);		    /* a question that $edgeHub itself put to it had no answer */
void hub_presence_refuses(const char *why); /* it had one, and that was no, about this gateway */
/* The parent's word came by itself. */
void hub_presence_told(const struct hub_word *word);
/* Or with its answer to a question; HUB_NOT_TRIED: it had none.  n_told is hub_presence_n_told() from before the question: what came by itself since then is newer. */
void hub_presence_answered(const struct hub_word *word, uint64_t n_told);
uint64_t hub_presence_n_told(void);

struct hub_presence hub_presence(void);
bool hub_presence_is_served(const struct hub_presence *presence); /* up to the hub, as far as is known */
/* Is the hub out of reach, of this gateway or of one above?  And for how long; 0: it is not. */
bool hub_presence_is_away(const struct hub_presence *presence);
int64_t hub_presence_away_ms(const struct hub_presence *presence);
/* What those below are told: HUB_NOT_TRIED, nothing. */
struct hub_word hub_presence_word(void);
