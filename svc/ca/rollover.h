/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Roots and how one follows another (docs/trust.md): the rules.  Pure; what is on disk is trust_dir.h's, who has heard of it census.h's.
 *
 *	ANNOUNCED	in every bundle, so that everybody comes to hold it; it signs nothing yet
 *	ACTIVE		new certificates are to be issued under it; there is one
 *	OUTGOING	in every bundle still, for who has not heard of its successor; nothing new is issued under it
 *	RETIRED		in no bundle any more
 *
 * One step at a time: another root is announced when the one before has retired.  With each step the generation of the bundle goes up. */

#include "pki/cert.h"

#define ROLLOVER_ROOTS_MAX 16 /* the oldest of the retired are forgotten beyond that */

enum rollover_state { ROLLOVER_ANNOUNCED, ROLLOVER_ACTIVE, ROLLOVER_OUTGOING, ROLLOVER_RETIRED };
const char *rollover_state_name(enum rollover_state state);
bool rollover_state_parse(const char *name, enum rollover_state *out);

struct rollover_root {
	struct cert *cert;
	enum rollover_state state;
	int64_t since; /* it is in this state: seconds UTC */
};

struct rollover {
	struct rollover_root roots[ROLLOVER_ROOTS_MAX]; /* the oldest first */
	size_t n;
	struct certs cross; /* of those that are in the bundle */
	int64_t generation;
};
void rollover_clear(struct rollover *r);

const struct rollover_root *rollover_find(
	const struct rollover *r, enum rollover_state state); /* the last of this state, or NULL */
/* Is this all that it has to be?  For what was read from disk. */
int rollover_check(const struct rollover *r, struct err *err);

int rollover_begin(struct rollover *r, struct cert *root, int64_t now, struct err *err); /* the first: ACTIVE */
/* May another one be announced, named so?  Asked before it is made. */
int rollover_may_announce(const struct rollover *r, const char *subject, struct err *err);
/* new_with_old and old_with_new: cross certificates (issue_cross), of both. */
int rollover_announce(
	struct rollover *r, struct cert *root, struct cert *new_with_old, struct cert *old_with_new, int64_t now, struct err *err);
int rollover_activate(struct rollover *r, int64_t now, struct err *err); /* the announced one; the active one becomes OUTGOING */
/* The outgoing one leaves, or the announced one where there is none (it is given up).  Which that would be: rollover_leaving, or NULL. */
const struct rollover_root *rollover_leaving(const struct rollover *r);
int rollover_retire(struct rollover *r, int64_t now, struct err *err);

void rollover_bundle(const struct rollover *r, struct certs *out); /* the roots to be trusted, the active one first */
