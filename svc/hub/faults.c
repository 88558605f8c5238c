/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing the option, throwing the dice, and waiting (faults.h). */
#include "hub/faults.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/rd.h"
#include "base/text.h"

#define MILLION 1000000
#define WAIT_MAX_MS (24 * 3600 * 1000)
#define CLOCK_MAX_S (100ll * 366 * 86400)

struct later {
	struct timer timer;
	struct faults *faults;
	struct later *next, **link;
	void (*run)(void *arg);
	void *arg;
};

struct faults {
	struct faults_config config;
	pthread_mutex_t lock; /* for the list: loops add and remove */
	struct later *waiting;
	bool stopped;
};

/* -- The option -------------------------------------------------------------------------------------------------------------------------- */

/* A number with a unit; *out in thousandths of a second. */
static bool
parse_span(const char *text, int64_t *out)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	size_t digits = strspn(*text == '-' || *text == '+' ? text + 1 : text, "0123456789") + (*text == '-' || *text == '+');
	OWN_TEXT number = mem_textn(*text == '+' ? text + 1 : text, *text == '+' ? digits - 1 : digits);
	int64_t value;

	if (!text_to_i64(number, -1000000000, 1000000000, &value))
		return false;
	for (size_t i = 0; i < COUNT(units); i++)
		if (text_is(text + digits, units[i].unit)) {
			*out = value * units[i].ms;
			return true;
		}
	return false;
}

/* "5%" or "0.1%", of a million. */
static bool
parse_share(const char *text, uint32_t *out)
{
	char *end;
	double percent = strtod(text, &end);

	if (end == text || !text_is(end, "%") || !(percent >= 0 && percent <= 100))
		return false;
	*out = (uint32_t)(percent * (MILLION / 100));
	return true;
}

static bool
take(struct faults_config *out, const char *name, const char *value)
{
	int64_t span;

	if (text_is(name, "drop"))
		return parse_share(value, &out->drop);
	if (text_is(name, "throttle"))
		return parse_share(value, &out->throttle);
	if (!parse_span(value, &span))
		return false;
	if (text_is(name, "clock") && span / 1000 >= -CLOCK_MAX_S && span / 1000 <= CLOCK_MAX_S)
		out->clock_s = span / 1000;
	else if (text_is(name, "delay") && span >= 0 && span <= WAIT_MAX_MS)
		out->delay_ms = span;
	else if (text_is(name, "disconnect") && span > 0 && span <= WAIT_MAX_MS)
		out->disconnect_ms = span;
	else
		return false;
	return true;
}

int
faults_parse(struct faults_config *out, const char *text, struct err *err)
{
	struct slice rest = slice_of(text), one, name;
	bool more = true;

	*out = (struct faults_config){ 0 };
	while (more) {
		OWN_TEXT name_text = NULL;
		OWN_TEXT value = NULL;

		more = slice_cut(&rest, ',', &one);
		slice_cut(&one, '=', &name);
		name_text = slice_text(name);
		value = slice_text(one);
		if (!take(out, name_text, value))
			return err_set(err, ERR_INVALID,
				"'%s=%s' is no fault: there are delay=200ms, drop=5%%, throttle=10%%, disconnect=30s and clock=-1h",
				name_text, value);
	}
	return 0;
}

/* -- The dice ---------------------------------------------------------------------------------------------------------------------------- */

struct faults *
faults_new(const struct faults_config *config)
{
	struct faults *faults = NEW(faults);

	faults->config = *config;
	pthread_mutex_init(&faults->lock, NULL);
	clock_shift(config->clock_s);
	return faults;
}

bool
faults_drop(const struct faults *faults)
{
	return faults && faults->config.drop > 0 && random_below(MILLION) < faults->config.drop;
}

bool
faults_throttle(const struct faults *faults)
{
	return faults && faults->config.throttle > 0 && random_below(MILLION) < faults->config.throttle;
}

int64_t
faults_disconnect_ms(const struct faults *faults)
{
	int64_t about = faults ? faults->config.disconnect_ms : 0;

	return about > 0 ? about / 2 + random_below((uint32_t)about + 1) : 0;
}

/* -- Waiting ----------------------------------------------------------------------------------------------------------------------------- */

static void
forget(struct later *later)
{
	pthread_mutex_lock(&later->faults->lock);
	*later->link = later->next;
	if (later->next)
		later->next->link = later->link;
	pthread_mutex_unlock(&later->faults->lock);
}

static void
on_time(struct timer *timer)
{
	struct later *later = CONTAINER_OF(timer, struct later, timer);

	forget(later);
	later->run(later->arg);
	mem_free(later);
}

void
faults_after(struct faults *faults, struct loop *loop, int64_t after_ms, void (*run)(void *arg), void *arg)
{
	struct later *later;

	if (faults->stopped) {
		run(arg);
		return;
	}
	later = NEW(later);
	later->faults = faults;
	later->run = run;
	later->arg = arg;
	pthread_mutex_lock(&faults->lock);
	later->next = faults->waiting;
	later->link = &faults->waiting;
	if (later->next)
		later->next->link = &later->next;
	faults->waiting = later;
	pthread_mutex_unlock(&faults->lock);
	timer_init(&later->timer, loop, on_time);
	timer_arm(&later->timer, after_ms);
}

void
faults_later(struct faults *faults, struct loop *loop, void (*run)(void *arg), void *arg)
{
	if (faults && faults->config.delay_ms > 0)
		faults_after(faults, loop, faults->config.delay_ms, run, arg);
	else
		run(arg);
}

void
faults_stop(struct faults *faults)
{
	struct later *later;

	if (!faults)
		return;
	faults->stopped = true;
	while ((later = faults->waiting)) {
		timer_cancel(&later->timer);
		on_time(&later->timer);
	}
}

void
faults_free(struct faults *faults)
{
	if (!faults)
		return;
	faults_stop(faults);
	pthread_mutex_destroy(&faults->lock);
	mem_free(faults);
}
