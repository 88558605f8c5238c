/* SPDX-License-Identifier: Apache-2.0 */
/* The pace of connections (connect_pace.h). */
#include "gateway/upstream/connect_pace.h"

#define AT_ONCE 16 /* after a rest so many need not wait for each other */
#define SECOND_US 1000000
#define RATE_MIN 1

void
connect_pace_init(struct connect_pace *pace, int64_t per_second)
{
	*pace = (struct connect_pace){ .most = per_second, .rate = per_second };
}

static int64_t
interval_us(const struct connect_pace *pace)
{
	return pace->rate > 0 ? SECOND_US / pace->rate : 0;
}

int64_t
connect_pace_wait_ms(const struct connect_pace *pace, int64_t now_ms)
{
	int64_t wait_us = pace->next_us - AT_ONCE * interval_us(pace) - now_ms * 1000;

	if (now_ms < pace->paused_ms)
		return pace->paused_ms - now_ms;
	return wait_us > 0 ? (wait_us + 999) / 1000 : 0;
}

/* Its place is half to one and a half of the way from the one before. */
void
connect_pace_begin(struct connect_pace *pace, int64_t now_ms, uint32_t dice)
{
	int64_t now_us = now_ms * 1000, way = interval_us(pace);

	if (pace->next_us < now_us)
		pace->next_us = now_us;
	pace->next_us += way / 2 + (way > 0 ? dice % way : 0);
}

void
connect_pace_let_in(struct connect_pace *pace)
{
	pace->pause_ms = 0;
	if (pace->rate == pace->most)
		return;
	pace->rate += pace->rate / 8 + 1;
	if (pace->most > 0 ? pace->rate > pace->most : pace->rate > SECOND_US)
		pace->rate = pace->most;
}

/* In the place of its last one, else of the oldest. */
static void
note_refusal(struct connect_pace *pace, const void *who, int64_t now_ms)
{
	struct connect_refusal *place = pace->refused;

	for (int i = 0; i < CONNECT_SEVERAL && place->who != who; i++)
		if (pace->refused[i].who == who || pace->refused[i].at_ms < place->at_ms)
			place = &pace->refused[i];
	*place = (struct connect_refusal){ .who = who, .at_ms = now_ms };
}

static bool
were_several(const struct connect_pace *pace, int64_t now_ms)
{
	for (int i = 0; i < CONNECT_SEVERAL; i++)
		if (!pace->refused[i].who || now_ms - pace->refused[i].at_ms > CONNECT_WITHIN_MS)
			return false;
	return true;
}

int64_t
connect_pace_refused(struct connect_pace *pace, const void *who, int64_t now_ms, uint32_t dice)
{
	int64_t rate = pace->rate > 0 ? pace->rate : SECOND_US / 1000;

	note_refusal(pace, who, now_ms);
	if (now_ms < pace->paused_ms || (pace->pause_ms == 0 && !were_several(pace, now_ms)))
		return 0;
	pace->rate = rate / 2 > RATE_MIN ? rate / 2 : RATE_MIN;
	pace->pause_ms *= 2;
	if (pace->pause_ms < CONNECT_PAUSE_MIN_MS)
		pace->pause_ms = CONNECT_PAUSE_MIN_MS;
	if (pace->pause_ms > CONNECT_PAUSE_MAX_MS)
		pace->pause_ms = CONNECT_PAUSE_MAX_MS;
	pace->paused_ms = now_ms + pace->pause_ms / 2 + dice % (pace->pause_ms / 2);
	pace->next_us = pace->paused_ms * 1000 + AT_ONCE * interval_us(pace); /* after it one by one */
	return pace->paused_ms - now_ms;
}
