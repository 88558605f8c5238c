/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Is what lies on the disk what was written last, or has somebody put an older copy back (atk-27)?  Each version of a file is sealed with a key of its own, which is in keyd, in another folder and
 * of another user: there are places for two, which take turns, so that the version before the last one is good until its successor is on the disk, and a crash in between is no rollback.  The
 * version before that can never be taken for good again: its key is gone.
 *
 * Who puts keyd's folder back as well is not noticed, unless keyd has its keys in a token.  Calls block; of one thread at a time. */

#include "base/digest.h"
#include "keyd/client.h"

#define FRESHNESS_SEAL_LEN (1 + DIGEST_SHA256_LEN)

struct freshness;
struct freshness *freshness_new(
	struct keyd_client *keyd, const char *id); /* of the file, in keyd's ids: "edgehub-fresh-" and this */
void freshness_free(struct freshness *freshness);

/* Was this sealed last, or right before that?  1: yes, 0: no, it is older; -1: keyd has no answer. */
int freshness_check(
	struct freshness *f, const uint8_t seal[static FRESHNESS_SEAL_LEN], const void *data, size_t len, struct err *err);
/* Has anything with a seal ever been durable?  1, 0 or -1. */
int freshness_is_known(struct freshness *f, struct err *err);

/* A version begins, the successor of what was found good or written last; the one before it is gone from now on.  Where neither was, nothing that was sealed is good any more. */
int freshness_next(struct freshness *f, struct err *err);
bool freshness_has_begun(const struct freshness *f);
void freshness_seal(const struct freshness *f, const void *data, size_t len, uint8_t seal[static FRESHNESS_SEAL_LEN]);
/* Something with its seal is durable: only then may the next one begin in the other place, and is what has no seal older for good. */
void freshness_settle(struct freshness *f);
