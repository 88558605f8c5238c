/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What becomes of a role, and when it is started (again): the rule alone, without a process. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum role_condition {
	ROLE_IS_WAITING,  /* for another role */
	ROLE_IS_STARTING, /* runs, and has not said that it serves */
	ROLE_IS_SERVING,
	ROLE_IS_DOWN,	/* has ended, and is started at start_ms */
	ROLE_IS_REFUSED /* has refused its settings: nobody starts it but the operator */
};

struct role_state {
	enum role_condition condition;
	int64_t since_ms; /* boot clock, as all of these */
	int64_t start_ms;
	int64_t back_off_ms;
	unsigned n_restarts, n_in_a_row; /* in all; without having run for a minute in between */
	int status;			 /* of the last end, as waitpid has it */
};

void role_state_started(struct role_state *role, int64_t now_ms);
void role_state_serves(struct role_state *role, int64_t now_ms);
/* asked: the end was our own wish. */
void role_state_ended(struct role_state *role, int status, bool asked, int64_t now_ms);
void role_state_failed(struct role_state *role, int64_t now_ms); /* there could be no process */
/* How it ended, for people: "ended by itself with status 1", "was killed by signal 9 (Killed)". */
const char *role_state_end_words(const struct role_state *role, char *out, size_t size);
/* It has ended so often in a row that a person should look. */
bool role_state_keeps_ending(const struct role_state *role);
/* "Running", "Starting", "Down - failed" ... */
const char *role_state_words(const struct role_state *role);
