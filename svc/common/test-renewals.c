/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/renewals.h"
#include "t.h"
#include "wire/json.h"

#define DAY 86400
#define NOW ((int64_t)20000 * DAY)

/* An issuer that can be away, and a certificate of 90 days. */
struct fake {
	struct renewal_found found;
	bool away, has_none, gives_old;
	int asked, restored;
};

static int
look(void *arg, struct renewal_found *out, struct err *err)
{
	const struct fake *f = arg;

	*out = f->found;
	return f->has_none ? err_set(err, ERR_MISSING, "nothing") : 0;
}

static int
act(void *arg, enum renewal_step step, struct err *err)
{
	struct fake *f = arg;

	f->asked++;
	if (f->away)
		return err_set(err, ERR_UNAVAILABLE, "nobody is there");
	if (step == RENEWAL_RESTORE) {
		f->restored++;
		f->found.current = f->found.previous;
		return 0;
	}
	f->has_none = false;
	f->found.previous = f->found.current;
	f->found.current = (struct renewal_life){ clock_wall() - (f->gives_old ? 80 * DAY : 0),
		clock_wall() + (f->gives_old ? 10 : 90) * DAY };
	return 0;
}

static struct renewals *
open_one(struct fake *f, const char *path, bool renews)
{
	struct renewals *r = renewals_new(path);
	struct renewal_target target = {
		.id = (char *)(uintptr_t) "x", .policy = RENEWAL_POLICY_DEFAULT, .look = look, .act = renews ? act : NULL, .arg = f
	};

	renewals_add(r, &target);
	return r;
}

static void
set_clock(int64_t wall)
{
	clock_set_for_test(wall);
}

/* Not the cached answer: what a look finds now. */
static int
look_now(struct fake *f, const char *path, struct err *err)
{
	OWN(renewals) r = open_one(f, path, true);

	*err = (struct err)ERR_INIT;
	return renewals_ensure(r, "x", err);
}

static const char *
text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json_array_get(json_object_get(json, "renewals"), 0), key));
}

TEST("what is not there is made, and what is known of it can be read")
{
	struct fake f = { .has_none = true };
	OWN(renewals) r = open_one(&f, NULL, true);
	OWN_LIB(json_t) json = NULL;
	struct err err = ERR_INIT;

	set_clock(NOW);
	CHECK_OK(renewals_ensure(r, "x", &err), err);
	CHECK_INT(f.asked, 1);
	json = renewals_json(r);
	CHECK_STR(text_of(json, "status"), "good");
	CHECK_STR(text_of(json, "not_before"), "2024-10-04T00:00:00Z");
	CHECK_STR(text_of(json, "next_attempt"), "2024-12-15T00:00:00Z"); /* 72 days later */
	CHECK(!text_of(json, "last_error"));
	CHECK(renewals_ensure(r, "y", &err) < 0);
	CHECK_INT(err.kind, ERR_MISSING);
}

TEST("an issuer that is away is not asked again before its time, over a restart too, and what is good stays good meanwhile")
{
	struct fake f = { .away = true, .found.current = { NOW - 80 * DAY, NOW + 10 * DAY } };
	OWN_TEXT path = file_join(T_TMPDIR, "renewals.json");
	OWN(renewals) r = NULL;
	OWN_LIB(json_t) json = NULL;
	struct err err = ERR_INIT;

	set_clock(NOW);
	CHECK_OK(look_now(&f, path, &err), err);
	CHECK_INT(f.asked, 1);
	for (int i = 0; i < 5; i++)
		CHECK_OK(look_now(&f, path, &err), err);
	CHECK_INT(f.asked, 1);
	r = open_one(&f, path, true);
	json = renewals_json(r);
	CHECK_STR(text_of(json, "last_error"), "nobody is there");
	set_clock(NOW + 4 * DAY); /* 3.6 days and a tenth */
	CHECK_OK(look_now(&f, path, &err), err);
	CHECK_INT(f.asked, 2);
	set_clock(NOW + 20 * DAY);
	CHECK(look_now(&f, path, &err) < 0);
	CHECK_INT(f.asked, 3);
	CHECK(look_now(&f, path, &err) < 0);
	CHECK_STR(err.text, "nobody is there");
	CHECK_INT(f.asked, 3);
	f.away = false;
	set_clock(NOW + 20 * DAY + 700);
	CHECK_OK(look_now(&f, path, &err), err);
	CHECK_INT(f.found.current.until, NOW + 110 * DAY + 700);
}

TEST("a clock that was set back ends a wait, and a wait in a file that is damaged or from another time is none")
{
	static const char *const bad[] = { "", "{", "[]", "{\"version\":2,\"renewals\":[]}", "{\"version\":1,\"renewals\":7}",
		"{\"version\":1,\"renewals\":[{\"id\":\"x\",\"last_error\":\"e\",\"failed_at\":\"2024-10-04T00:00:00Z\",\"next_"
		"attempt\":\"2000-01-01T00:00:00Z\"}]}",
		"{\"version\":1,\"renewals\":[{\"id\":\"x\",\"last_error\":7,\"failed_at\":[],\"next_attempt\":{},\"attempts\":"
		"\"\"}]}" };
	struct fake f = { .away = true, .found.current = { NOW - 80 * DAY, NOW + 10 * DAY } };
	OWN_TEXT path = file_join(T_TMPDIR, "renewals.json");
	struct err err = ERR_INIT;

	set_clock(NOW);
	CHECK_OK(look_now(&f, path, &err), err);
	set_clock(NOW - DAY);
	CHECK_OK(look_now(&f, path, &err), err);
	CHECK_INT(f.asked, 2);
	set_clock(NOW);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CHECK_OK(file_save(path, bad[i], strlen(bad[i]), 0600, &err), err);
		f.asked = 0;
		CHECK_OK(look_now(&f, path, &err), err);
		CHECK_INT(f.asked, 1);
	}
}

TEST("a file that can't be written costs nothing but the memory of a restart")
{
	struct fake f = { .has_none = true };
	struct err err = ERR_INIT;

	set_clock(NOW);
	CHECK_OK(look_now(&f, "/proc/no-such-folder/renewals.json", &err), err);
	CHECK_INT(f.asked, 1);
}

TEST("what was given as a file is watched only, with its end in the status")
{
	struct fake f = { .found.current = { NOW - 80 * DAY, NOW + DAY } };
	OWN(renewals) r = open_one(&f, NULL, false);
	OWN_LIB(json_t) json = NULL;
	struct err err = ERR_INIT;

	set_clock(NOW);
	CHECK_OK(renewals_ensure(r, "x", &err), err);
	json = renewals_json(r);
	CHECK_STR(text_of(json, "status"), "urgent");
	CHECK(!text_of(json, "next_attempt"));
	CHECK_INT(f.asked, 0);
}

TEST("an issuer that gives what is due already is not asked again and again")
{
	struct fake f = { .has_none = true, .gives_old = true };
	OWN_TEXT path = file_join(T_TMPDIR, "due.json");
	struct err err = ERR_INIT;

	set_clock(NOW);
	for (int i = 0; i < 5; i++)
		CHECK_OK(look_now(&f, path, &err), err);
	CHECK_INT(f.asked, 1);
	f.gives_old = false;
	set_clock(NOW + 4 * DAY);
	CHECK_OK(look_now(&f, path, &err), err);
	CHECK_INT(f.asked, 2);
	CHECK_INT(f.found.current.until, NOW + 94 * DAY);
}

TEST("the wait of one certificate is not that of another: when it is gone, or is another, there is none")
{
	struct fake f = { .away = true, .found.current = { NOW - 80 * DAY, NOW + 10 * DAY }, .found.sha256 = { 1 } };
	OWN_TEXT path = file_join(T_TMPDIR, "gone.json");
	struct err err = ERR_INIT;

	set_clock(NOW);
	CHECK_OK(look_now(&f, path, &err), err);
	CHECK_OK(look_now(&f, path, &err), err);
	CHECK_INT(f.asked, 1);
	f.found.sha256[0] = 2;
	CHECK_OK(look_now(&f, path, &err), err);
	CHECK_INT(f.asked, 2);
	f.away = false;
	f.has_none = true;
	CHECK_OK(look_now(&f, path, &err), err);
	CHECK_INT(f.asked, 3);
}

TEST("a year ahead and back: the one that was replaced is put back, and nothing else is asked for")
{
	struct fake f = { .found.current = { NOW, NOW + 90 * DAY } };
	struct err err = ERR_INIT;

	set_clock(NOW + 365 * DAY);
	CHECK_OK(look_now(&f, NULL, &err), err);
	CHECK_INT(f.found.current.from, NOW + 365 * DAY);
	set_clock(NOW + DAY);
	CHECK_OK(look_now(&f, NULL, &err), err);
	CHECK_INT(f.restored, 1);
	CHECK_INT(f.found.current.from, NOW);
}

TEST("in 1970 the certificate that has not begun is used on, and nobody is asked for another")
{
	struct fake f = { .found.current = { NOW, NOW + 90 * DAY } };
	struct err err = ERR_INIT;

	set_clock(3600);
	CHECK_OK(look_now(&f, NULL, &err), err);
	CHECK_INT(f.asked, 0);
	set_clock(NOW + DAY);
	CHECK_OK(look_now(&f, NULL, &err), err);
	CHECK_INT(f.asked, 0);
}

TEST("the thread looks by itself, and ends when it is told to")
{
	struct fake f = { .has_none = true };
	OWN(renewals) r = open_one(&f, NULL, true);
	struct err err = ERR_INIT;
	int64_t until = clock_boot_ms() + 20000;

	set_clock(NOW);
	CHECK_OK(renewals_start(r, &err), err);
	for (;;) {
		OWN_LIB(json_t) json = renewals_json(r);

		if (text_is(text_of(json, "status"), "good"))
			break;
		CHECK(clock_boot_ms() < until);
	}
	renewals_stop(r);
	CHECK_INT(f.asked, 1);
}
