/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What was decided lately about each identity: the last decision, how many there were, why a session of it was ended last, and whether one more line about it is worth its place on the disk.  A flood of the same refusal costs a
 * look into a map; strangers, who may choose their names, share one allowance and a small place of their own.  No I/O, no clock; any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag/reason.h"
#include "gateway/gauges/tally.h"

#define DECISION_PEER_MAX 48 /* an IPv6 address and its port */

struct decision {
	int64_t wall, ended_wall;     /* when, seconds UTC */
	char peer[DECISION_PEER_MAX]; /* from where */
	uint32_t n_accepted, n_refused;
	enum reason cause : 16; /* OK: let in */
	enum reason ended : 16; /* why the gateway ended a session of it, or refused what a request brought; OK: neither */
	enum tally_shown shown;
	char *detail; /* of a refusal: at what, what was wanted and found; copied when it is noted, NULL when it is found */
};

struct decisions;
struct decisions *decisions_new(size_t max_known, size_t max_strangers); /* beyond it the one that came first is forgotten */
void decisions_free(struct decisions *decisions);

/* is_known: the hub has a record of it.  True: it is to be written down, and *left_out were not since the last that was. */
bool decisions_note(struct decisions *decisions, const char *name, bool is_known, const struct decision *now, int64_t now_ms,
	uint64_t *left_out);
/* A connection was closed for that, or what a request brought was refused.  All share one allowance, of which nobody whose last decision is known takes more than his own. */
bool decisions_note_end(
	struct decisions *decisions, const char *name, enum reason why, int64_t wall, int64_t now_ms, uint64_t *left_out);
bool decisions_find(struct decisions *decisions, const char *name, struct decision *out); /* the last one */
char *decisions_detail(struct decisions *decisions, const char *name); /* of the last one, a copy; NULL: there is none */
