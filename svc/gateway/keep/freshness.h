/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Is what lies on the disk what was written last, or has somebody put an older copy back (atk-27)?  Each version of a file is sealed with a key of its own, which is in keyd, in another folder and
 * of another user.  There are places for two keys, p and q, which take turns.  A version n+1 after one n whose key is in p:
 *
 *	           on the disk    in p       in q       whose copies are good
 *	           n              of n       of n+1     n
 *	(writing)  n, then n+1    of n       of n+1     n and n+1
 *	settle     n+1            of n+2     of n+1     n+1
 *
 * So a version's key is there before it begins, except at a start, which puts it there first.  It is the same key however often it has to be put there: a call that was given up, and that keyd comes to
 * later, does no harm.  keyd replaces a key as a whole or not at all, and so does who writes the file; so between any two steps, whoever is killed, what is on the disk is good: the
 * key of p goes only when n+1 is known to be on the disk.  Who was killed before he knew it finds either of them, goes on from there, and writes the next version's key over that of the other one.
 * Who was told that writing failed knows nothing: then the version that has begun goes on, with its key, until something is known to be on the disk, because each key may be needed.
 *
 * Who puts keyd's folder back as well is not noticed, unless keyd has its keys in a token.  Calls block; of one thread at a time. */

#include "base/digest.h"
#include "keyd/client.h"

#define FRESHNESS_SEAL_LEN (1 + DIGEST_SHA256_LEN)

struct freshness;
struct freshness *freshness_new(
	struct keyd_client *keyd, const char *id); /* of the file, in keyd's ids: "edgehub-fresh-" and this */
void freshness_free(struct freshness *freshness);

/* Is this what was sealed last?  Who was killed between writing and settle has two.  1: yes, 0: no, it is older; -1: keyd has no answer. */
int freshness_check(
	struct freshness *f, const uint8_t seal[static FRESHNESS_SEAL_LEN], const void *data, size_t len, struct err *err);
/* Has anything with a seal ever been durable?  1, 0 or -1. */
int freshness_is_known(struct freshness *f, struct err *err);

/* A version begins, the successor of what was found good or written last; or goes on, when nothing of it has settled.  Where neither was, nothing that was sealed is good any more. */
int freshness_next(struct freshness *f, struct err *err);
bool freshness_has_begun(const struct freshness *f);
void freshness_seal(const struct freshness *f, const void *data, size_t len, uint8_t seal[static FRESHNESS_SEAL_LEN]);
/* Something with its seal is durable: now all before it is older for good, and what has no seal, and the next one may begin in the other place.  What keyd does not do now is done when the next one begins. */
void freshness_settle(struct freshness *f);
