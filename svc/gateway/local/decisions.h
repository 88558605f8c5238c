/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What was decided lately about each identity: the last decision, how many there were, and whether one more line about it is worth its place on the disk.  A flood of the same refusal costs a
 * look into a map; strangers, who may choose their names, share one allowance and a small place of their own.  No I/O, no clock; any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag/reason.h"
#include "gateway/local/tally.h"

#define DECISION_PEER_MAX 64

struct decision {
	enum reason cause; /* OK: let in */
	enum tally_shown shown;
	int64_t wall;		      /* when, seconds UTC */
	char peer[DECISION_PEER_MAX]; /* from where */
	uint64_t n_accepted, n_refused;
};

struct decisions;
struct decisions *decisions_new(size_t max_known, size_t max_strangers); /* beyond it the one that came first is forgotten */
void decisions_free(struct decisions *decisions);

/* is_known: the hub has a record of it.  True: it is to be written down, and *left_out were not since the last that was. */
bool decisions_note(struct decisions *decisions, const char *name, bool is_known, const struct decision *now, int64_t now_ms,
	uint64_t *left_out);
/* The same for a connection that was closed for a broken rule, whoever it was: all of them share one allowance. */
bool decisions_note_violation(struct decisions *decisions, int64_t now_ms, uint64_t *left_out);
bool decisions_find(struct decisions *decisions, const char *name, struct decision *out); /* the last one */
