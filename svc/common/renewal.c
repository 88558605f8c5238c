/* SPDX-License-Identifier: Apache-2.0 */
/* Dates in, dates out. */
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "common/renewal.h"

#define MINUTE_S 60
#define DAY_S 86400
#define COUNT_MAX 36500

static const struct unit {
	const char *name;
	int64_t max, seconds; /* 0: a percentage */
} units[] = {
	{ "%", 99, 0 },
	{ "min", COUNT_MAX, MINUTE_S },
	{ "day", COUNT_MAX, DAY_S },
};

int
renewal_span_parse(struct renewal_span *out, const char *text, struct err *err)
{
	size_t digits = strspn(text, "0123456789");
	OWN_TEXT number = mem_textn(text, digits);
	int64_t count;

	for (size_t i = 0; i < COUNT(units); i++) {
		if (!text_is(text + digits, units[i].name) || !text_to_i64(number, 1, units[i].max, &count))
			continue;
		*out = units[i].seconds ? (struct renewal_span){ .seconds = count * units[i].seconds }
					: (struct renewal_span){ .percent = (int)count };
		return 0;
	}
	return err_set(err, ERR_INVALID, "'%.40s' is neither a share (\"80%%\", 1 to 99) nor a time (\"10min\", \"3day\")", text);
}

static int64_t
length(const struct renewal_span *span, int64_t life)
{
	return span->percent ? life / 100 * span->percent + life % 100 * span->percent / 100 : span->seconds;
}

int64_t
renewal_due(const struct renewal_policy *p, int64_t not_before, int64_t not_after)
{
	int64_t life = not_after - not_before, span = length(&p->threshold, life);

	if (life <= 0)
		return not_before;
	if (p->threshold.percent)
		return not_before + span;
	return span < life ? not_after - span : not_before;
}

int64_t
renewal_next_attempt(const struct renewal_policy *p, int64_t not_before, int64_t not_after, int64_t now, uint64_t dice)
{
	int64_t wait = length(&p->retry, not_after > not_before ? not_after - not_before : 0), left = not_after - now;

	if (left > 0 && wait > left / 2)
		wait = left / 2;
	if (left <= 0 && wait > 10 * MINUTE_S)
		wait = 10 * MINUTE_S; /* it has ended: every minute counts */
	if (wait < MINUTE_S)
		wait = MINUTE_S;
	return now + wait + (int64_t)(dice % (uint64_t)(wait / 10 + 1));
}

bool
renewal_waits(const struct renewal_pace *pace, int64_t now)
{
	return now >= atomic_load(&pace->failed_at) && now < atomic_load(&pace->next_attempt);
}

int64_t
renewal_failed(struct renewal_pace *pace, const struct renewal_policy *policy, int64_t not_before, int64_t not_after, int64_t now)
{
	int64_t next = renewal_next_attempt(policy, not_before, not_after, now, random_u64());

	atomic_store(&pace->failed_at, now);
	atomic_store(&pace->next_attempt, next);
	return next;
}
