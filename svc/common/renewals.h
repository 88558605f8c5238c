/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The certificates of a service that end one day, and what is done about it (docs/renewal.md).  One thread looks at them once a minute by the wall clock, so that a clock that is set and a
 * long sleep are noticed; whoever needs one may have it looked at now.  Attempts are not limited: they come closer as the end does, and go on behind it.
 *
 * What is known of them stands in a file, which people and `rootedge edge status` read and which a start after a crash goes on with: an issuer that is out of reach is not asked by every
 * start anew.  Its loss, a disk that is full and a clock that was wrong when it was written cost an attempt that comes earlier, nothing else. */

#include <jansson.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/own.h"
#include "common/renewal.h"

#define RENEWALS_MAX 64

struct renewal_found {
	struct renewal_life current, previous; /* all zero: there is none */
	uint8_t sha256[DIGEST_SHA256_LEN];     /* of the current certificate */
};

/* Called one at a time for each certificate; may block. */
struct renewal_target {
	char *id;
	struct renewal_policy policy;
	/* What is there.  ERR_MISSING: nothing. */
	int (*look)(void *arg, struct renewal_found *out, struct err *err);
	/* RENEWAL_RENEW or RENEWAL_RESTORE.  NULL: it is somebody else's, and only watched. */
	int (*act)(void *arg, enum renewal_step step, struct err *err);
	bool waits_to_be_asked; /* one that is not there is none of ours yet */
	void *arg;
};

struct renewals;
/* path: the file; NULL: nothing is kept. */
struct renewals *renewals_new(const char *path);
void renewals_free(struct renewals *renewals);
OWN_DEFINE(renewals);
void renewals_add(struct renewals *renewals, const struct renewal_target *target); /* copies; before renewals_start */

/* Now, in the caller's thread: afterwards it is good, or in doubt because the clock is, or a failure says why not.  A wait after a failed attempt is kept to, with that failure.  Costs
 * nothing when it was looked at a minute ago. */
int renewals_ensure(struct renewals *renewals, const char *id, struct err *err);
/* The same, and what is due is done first: for who asks the same server anyway. */
int renewals_ensure_first(struct renewals *renewals, const char *id, struct err *err);

/* Looked at, and valid by now: who needs it waits for nobody. */
bool renewals_has_good(struct renewals *renewals, const char *id);

int renewals_start(struct renewals *renewals, struct err *err);
void renewals_stop(struct renewals *renewals); /* after what is under way */

/* {"renewals": [{"id", "status", "not_before", "not_after", "due", "next_attempt", "attempts", "failed_at", "last_error", "renews", "checked", "sha256"}]}, times in
 * RFC 3339 or null. */
json_t *renewals_json(struct renewals *renewals);
