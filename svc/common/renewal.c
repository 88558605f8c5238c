/* SPDX-License-Identifier: Apache-2.0 */
/* The rule, and the words of config.toml for it. */
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "common/renewal.h"
#include "wire/json.h"

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

int
renewal_policy_take(struct renewal_policy *out, const json_t *table, struct err *err)
{
	const char *threshold = NULL, *retry = NULL;

	if (!table)
		return 0;
	if (json_find_bool(table, "rotate_key", &out->rotate_key, err) < 0 ||
		json_find_text(table, "threshold", &threshold, err) < 0 || json_find_text(table, "retry", &retry, err) < 0)
		return -1;
	if (threshold && renewal_span_parse(&out->threshold, threshold, err) < 0)
		return err_wrap(err, "threshold");
	return retry && renewal_span_parse(&out->retry, retry, err) < 0 ? err_wrap(err, "retry") : 0;
}

static int64_t
length(const struct renewal_span *span, int64_t life)
{
	return span->percent ? life / 100 * span->percent + life % 100 * span->percent / 100 : span->seconds;
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t
renewal_due(const struct renewal_policy *p, int64_t not_before, int64_t not_after)
{
	int64_t life = not_after - not_before, span = length(&p->threshold, life), due, left;

	if (life <= 0)
		return not_before;
	due = p->threshold.percent ? not_before + span : not_after - least(span, life);
	due = least(due, not_after - least(p->reserve_s, life / 5));
	if (!p->overlaps)
		return due;
	left = (not_after - due) / 2;
	return not_after - (p->reserve_s > 0 ? least(p->reserve_s, left) : left);
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

/* -- What is to be done now? ------------------------------------------------------------------------------------------------------- */

bool
renewal_is_good(const struct renewal_life *life, int64_t now)
{
	return now >= life->from && now < life->until;
}

static bool
is_there(const struct renewal_life *life)
{
	return life->from != 0 || life->until != 0;
}

enum renewal_step
renewal_decide(const struct renewal_policy *p, const struct renewal_view *v)
{
	if (!is_there(&v->current))
		return RENEWAL_RENEW;
	if (renewal_is_good(&v->current, v->now))
		return v->now >= renewal_due(p, v->current.from, v->current.until) ? RENEWAL_RENEW : RENEWAL_REST;
	if (v->now < RENEWAL_CLOCK_FLOOR)
		return RENEWAL_DOUBT;
	if (renewal_is_good(&v->previous, v->now))
		return RENEWAL_RESTORE;
	if (v->now < v->current.from && v->current.from < v->current.until)
		return v->doubt_is_over ? RENEWAL_RENEW : RENEWAL_DOUBT;
	return RENEWAL_RENEW;
}

enum renewal_urgency
renewal_urgency(const struct renewal_policy *p, const struct renewal_life *life, int64_t now)
{
	int64_t due = renewal_due(p, life->from, life->until), left = life->until - now, all = life->until - due;

	if (!is_there(life))
		return RENEWAL_ABSENT;
	if (left <= 0)
		return RENEWAL_ENDED;
	if (now < life->from)
		return RENEWAL_NOT_BEGUN;
	if (now < due)
		return RENEWAL_GOOD;
	if (left > all / 2)
		return RENEWAL_DUE;
	return left > all / 5 ? RENEWAL_LATE : RENEWAL_URGENT;
}

const char *
renewal_urgency_name(enum renewal_urgency urgency)
{
	static const char *const names[] = { "good", "due", "late", "urgent", "ended", "not begun", "absent" };

	return names[urgency];
}
