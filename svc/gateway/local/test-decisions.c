/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "gateway/local/decisions.h"
#include "t.h"

static const struct decision yes = { .cause = OK, .shown = TALLY_CERTIFICATE, .wall = 1000, .peer = "192.0.2.1:5" };
static const struct decision no = { .cause = SAS_EXPIRED, .shown = TALLY_TOKEN, .wall = 1001, .peer = "192.0.2.2:6" };

static int
note_many(struct decisions *d, const char *name, bool is_known, int n, int64_t now_ms)
{
	uint64_t left_out;
	int written = 0;

	for (int i = 0; i < n; i++)
		written += decisions_note(d, name, is_known, &no, now_ms, &left_out);
	return written;
}

TEST("the last decision about an identity is found, with how often it was let in and refused")
{
	struct decisions *d = decisions_new(10, 10);
	struct decision found;
	uint64_t left_out;

	CHECK(!decisions_find(d, "dev1", &found));
	CHECK(decisions_note(d, "dev1", true, &yes, 0, &left_out));
	CHECK(decisions_note(d, "dev1", true, &yes, 0, &left_out));
	CHECK(decisions_note(d, "dev1", true, &no, 0, &left_out));
	CHECK(decisions_find(d, "dev1", &found));
	CHECK_INT(found.cause, SAS_EXPIRED);
	CHECK_INT(found.n_accepted, 2);
	CHECK_INT(found.n_refused, 1);
	CHECK_STR(found.peer, "192.0.2.2:6");
	decisions_free(d);
}

TEST("what was wrong about a refusal is found with it, until the next decision")
{
	struct decisions *d = decisions_new(10, 10);
	struct decision told = no;
	uint64_t left_out;
	char what[] = "CN=old; found 2020", *detail;

	CHECK(!decisions_detail(d, "dev1"));
	told.detail = what;
	decisions_note(d, "dev1", true, &told, 0, &left_out);
	decisions_note(d, "dev1", true, &told, 0, &left_out);
	detail = decisions_detail(d, "dev1");
	CHECK_STR(detail, what);
	mem_free(detail);
	decisions_note(d, "dev1", true, &yes, 0, &left_out);
	CHECK(!decisions_detail(d, "dev1"));
	decisions_note(d, "dev1", true, &told, 0, &left_out); /* goes with all */
	decisions_free(d);
}

TEST("after 60 lines at once an identity has one in five seconds, and the next tells how many were left out")
{
	struct decisions *d = decisions_new(10, 10);
	uint64_t left_out;

	CHECK_INT(note_many(d, "dev1", true, 1000, 1), 60);
	CHECK_INT(note_many(d, "dev2", true, 10, 1), 10);
	CHECK(!decisions_note(d, "dev1", true, &no, 4999, &left_out));
	CHECK(decisions_note(d, "dev1", true, &no, 5001, &left_out));
	CHECK_INT(left_out, 941);
	CHECK(!decisions_note(d, "dev1", true, &no, 5001, &left_out));
	CHECK_INT(note_many(d, "dev1", true, 1000, INT64_C(1) << 50), 60);
	decisions_free(d);
}

TEST("refusals of somebody who tries a device's name don't keep it from being written down that the device came in")
{
	struct decisions *d = decisions_new(10, 10);
	uint64_t left_out;

	note_many(d, "dev1", true, 1000, 1);
	CHECK(decisions_note(d, "dev1", true, &yes, 1, &left_out));
	decisions_free(d);
}

TEST("why a session was ended is found beside the decision, and outlives the next one")
{
	struct decisions *d = decisions_new(10, 10);
	struct decision found;
	uint64_t left_out;

	decisions_note(d, "dev1", true, &yes, 0, &left_out);
	CHECK(decisions_find(d, "dev1", &found));
	CHECK_INT(found.ended, OK);
	CHECK(decisions_note_end(d, "dev1", SESSION_DISABLED, 2000, 0, &left_out));
	CHECK(decisions_note_end(d, "dev2", SESSION_REMOVED, 2000, 0, &left_out));
	decisions_note(d, "dev1", true, &no, 0, &left_out);
	CHECK(decisions_find(d, "dev1", &found));
	CHECK_INT(found.cause, SAS_EXPIRED);
	CHECK_INT(found.ended, SESSION_DISABLED);
	CHECK_INT(found.ended_wall, 2000);
	CHECK(!decisions_find(d, "dev2", &found));
	decisions_free(d);
}

TEST("broken rules have an allowance of their own")
{
	struct decisions *d = decisions_new(10, 10);
	uint64_t left_out;
	int written = 0;

	for (int i = 0; i < 1000; i++)
		written += decisions_note_end(d, "192.0.2.1:4711", MQTT_MALFORMED, 1000, 1, &left_out);
	CHECK_INT(written, 200);
	CHECK(decisions_note_end(d, "192.0.2.1:4711", MQTT_MALFORMED, 1000, 101, &left_out));
	CHECK_INT(left_out, 800);
	CHECK(decisions_note(d, "dev1", true, &no, 101, &left_out));
	decisions_free(d);
}

TEST("who is refused a hundred times a second for a minute has some seventy lines, and leaves those of others")
{
	struct decisions *d = decisions_new(10, 10);
	struct decision found;
	uint64_t left_out;
	int written = 0;

	decisions_note(d, "dev1", true, &yes, 0, &left_out);
	decisions_note(d, "dev2", true, &yes, 0, &left_out);
	for (int i = 0; i < 6000; i++) {
		written += decisions_note_end(d, "dev1", QUEUE_FULL, 1000, i * 10, &left_out);
		if (i % 500 == 0)
			CHECK(decisions_note_end(d, "dev2", SESSION_TAKEN_OVER, 1000, i * 10, &left_out));
	}
	CHECK(written >= 60 && written <= 75);
	CHECK(decisions_find(d, "dev1", &found));
	CHECK_INT(found.ended, QUEUE_FULL);
	decisions_free(d);
}

TEST("strangers share an allowance, however many names they choose, and don't take it from those who are known")
{
	struct decisions *d = decisions_new(10, 10);
	uint64_t left_out;
	int written = 0;

	for (int i = 0; i < 5000; i++) {
		OWN_TEXT name = mem_textf("x%d", i);

		written += decisions_note(d, name, false, &no, 1, &left_out);
	}
	CHECK_INT(written, 200);
	CHECK(decisions_note(d, "dev1", true, &no, 1, &left_out));
	CHECK_INT(left_out, 0);
	CHECK(decisions_note(d, "y", false, &no, 101, &left_out));
	CHECK_INT(left_out, 4800);
	decisions_free(d);
}

TEST("as many are remembered as there may be, those who came last; strangers push nobody out who is known")
{
	struct decisions *d = decisions_new(3, 2);
	struct decision found;

	for (int i = 0; i < 5; i++) {
		OWN_TEXT known = mem_textf("k%d", i);
		OWN_TEXT stranger = mem_textf("s%d", i);

		note_many(d, known, true, 1, 1);
		note_many(d, stranger, false, 1, 1);
	}
	CHECK(!decisions_find(d, "k1", &found));
	CHECK(decisions_find(d, "k2", &found) && decisions_find(d, "k4", &found));
	CHECK(!decisions_find(d, "s2", &found));
	CHECK(decisions_find(d, "s3", &found));
	decisions_free(d);
}
