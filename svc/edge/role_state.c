/* SPDX-License-Identifier: Apache-2.0 */
/* When a role is started again. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/service.h"
#include "edge/role_state.h"

#define BACK_OFF_MIN_MS 500
#define BACK_OFF_MAX_MS 30000
#define BACK_OFF_SERVED_MAX_MS 2000 /* of a role that did serve: devices and modules wait for it */
#define SETTLED_MS 60000
#define OFTEN 5

static void
become(struct role_state *role, enum role_condition condition, int64_t now_ms)
{
	role->condition = condition;
	role->since_ms = now_ms;
}

void
role_state_started(struct role_state *role, int64_t now_ms)
{
	become(role, ROLE_IS_STARTING, now_ms);
}

void
role_state_serves(struct role_state *role, int64_t now_ms)
{
	become(role, ROLE_IS_SERVING, now_ms);
}

static bool
ended_with(const struct role_state *role, int status)
{
	return WIFEXITED(role->status) && WEXITSTATUS(role->status) == status;
}

void
role_state_ended(struct role_state *role, int status, bool asked, int64_t now_ms)
{
	bool served = role->condition == ROLE_IS_SERVING, settled = served && now_ms - role->since_ms >= SETTLED_MS;
	int64_t most = served ? BACK_OFF_SERVED_MAX_MS : BACK_OFF_MAX_MS, next = role->back_off_ms * 2;

	role->status = status;
	role->n_restarts++;
	become(role, ended_with(role, SERVICE_BAD_SETTINGS) ? ROLE_IS_REFUSED : ROLE_IS_DOWN, now_ms);
	if (asked || ended_with(role, SERVICE_REPROVISIONED)) {
		role->start_ms = now_ms;
		role->back_off_ms = 0;
		role->n_in_a_row = 0;
		if (asked)
			role->condition = ROLE_IS_DOWN;
		return;
	}
	role->n_in_a_row = settled ? 1 : role->n_in_a_row + 1;
	role->back_off_ms = settled || next < BACK_OFF_MIN_MS ? BACK_OFF_MIN_MS : next < most ? next : most;
	role->start_ms = now_ms + role->back_off_ms;
}

void
role_state_failed(struct role_state *role, int64_t now_ms)
{
	become(role, ROLE_IS_DOWN, now_ms);
	role->back_off_ms = BACK_OFF_MAX_MS;
	role->start_ms = now_ms + role->back_off_ms;
}

const char *
role_state_end_words(const struct role_state *role, char *out, size_t size)
{
	if (WIFSIGNALED(role->status))
		snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(role->status), strsignal(WTERMSIG(role->status)));
	else
		snprintf(out, size, "ended with status %d", WEXITSTATUS(role->status));
	return out;
}

bool
role_state_keeps_ending(const struct role_state *role)
{
	return role->n_in_a_row >= OFTEN;
}

const char *
role_state_words(const struct role_state *role)
{
	switch (role->condition) {
	case ROLE_IS_WAITING:
		return "Waiting";
	case ROLE_IS_STARTING:
		return "Starting";
	case ROLE_IS_SERVING:
		return "Running";
	case ROLE_IS_REFUSED:
		return "Down - settings refused";
	case ROLE_IS_DOWN:
		break;
	}
	return role_state_keeps_ending(role) ? "Down - keeps ending" : "Down - failed";
}
