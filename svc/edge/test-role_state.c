/* SPDX-License-Identifier: Apache-2.0 */
#include "common/service.h"
#include "edge/role_state.h"
#include "t.h"

#define EXIT(status) ((status) << 8) /* as waitpid has it */
#define BY_ITSELF false
#define AS_ASKED true

TEST("a role that ends before it serves is started again ever later, up to half a minute")
{
	struct role_state r = { 0 };
	int64_t now = 1000, last = 0;

	for (int i = 0; i < 12; i++) {
		role_state_started(&r, now);
		role_state_ended(&r, EXIT(1), BY_ITSELF, now);
		CHECK_INT(r.condition, ROLE_IS_DOWN);
		CHECK(r.back_off_ms >= last);
		last = r.back_off_ms;
		now = r.start_ms;
	}
	CHECK_INT(last, 30000);
	CHECK_INT(r.n_restarts, 12);
}

TEST("one that did serve is waited for: it never stays away longer than two seconds")
{
	struct role_state r = { 0 };
	int64_t now = 1000;

	for (int i = 0; i < 12; i++) {
		role_state_started(&r, now);
		role_state_serves(&r, now + 10);
		role_state_ended(&r, 9, BY_ITSELF, now + 20);
		CHECK(r.back_off_ms <= 2000);
		now = r.start_ms;
	}
}

TEST("after a minute of service it counts from the beginning")
{
	struct role_state r = { 0 };

	for (int i = 0; i < 6; i++) {
		role_state_started(&r, 0);
		role_state_ended(&r, EXIT(1), BY_ITSELF, 0);
	}
	CHECK(role_state_keeps_ending(&r));
	CHECK_STR(role_state_words(&r), "Down - keeps ending");
	role_state_started(&r, 0);
	role_state_serves(&r, 0);
	role_state_ended(&r, EXIT(1), BY_ITSELF, 60000);
	CHECK(!role_state_keeps_ending(&r));
	CHECK_INT(r.back_off_ms, 500);
}

TEST("what refuses its settings is not started again, unless it was the operator who ended it; what has reprovisioned is at once")
{
	struct role_state r = { 0 };

	role_state_started(&r, 5);
	role_state_ended(&r, EXIT(SERVICE_BAD_SETTINGS), BY_ITSELF, 10);
	CHECK_INT(r.condition, ROLE_IS_REFUSED);
	CHECK_STR(role_state_words(&r), "Down - settings refused");
	role_state_started(&r, 5);
	role_state_ended(&r, EXIT(SERVICE_BAD_SETTINGS), AS_ASKED, 10);
	CHECK_INT(r.condition, ROLE_IS_DOWN);
	CHECK_INT(r.start_ms, 10);
	role_state_started(&r, 15);
	role_state_ended(&r, EXIT(SERVICE_REPROVISIONED), BY_ITSELF, 20);
	CHECK_INT(r.condition, ROLE_IS_DOWN);
	CHECK_INT(r.start_ms, 20);
	CHECK_INT(r.n_in_a_row, 0);
}

TEST("an end has words")
{
	struct role_state r = { 0 };
	char words[80];

	role_state_started(&r, 0);
	role_state_ended(&r, 9, BY_ITSELF, 0);
	CHECK_STR(role_state_end_words(&r, words, sizeof(words)), "was killed by signal 9 (Killed)");
	role_state_ended(&r, EXIT(3), BY_ITSELF, 0);
	CHECK_STR(role_state_end_words(&r, words, sizeof(words)), "ended with status 3");
}
