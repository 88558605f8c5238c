/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How one certificate with its key follows another (edge-services 6.1, 6.2): tried first, then swapped, with the one before it kept.
 *
 * All that has to be remembered lies where certificates and keys lie, in certd and keyd, under ID, ID-temp (the successor) and ID-previous (what was replaced, the newest first).  The pair in
 * force is the certificate ID with the key, of whichever of the three ids, that belongs to it: storing the certificate is therefore the one step that swaps, and what follows is tidying.
 *
 *	after                                   certificates           keys                     the next start
 *	 a key was made                         ID                     ID, temp                 goes on with that key
 *	 it was issued                          ID, temp               ID, temp                 goes on with the test
 *	 the predecessor was kept               ID, temp, previous     ID, temp                 the same
 *	 the certificate was stored             ID = temp, previous    ID (old), temp           moves both keys
 *	 the old key was moved                  ID = temp, previous    temp, previous           moves the new one
 *	 the new key was moved                  ID = temp, previous    ID, previous             removes the temporary certificate
 *
 * A clock that was wrong for a while may have had a good pair replaced: what was kept is put back by the same steps, with the other one kept in turn.  Calls block. */

#include <pthread.h>

#include "common/renewals.h"
#include "keyd/client.h"
#include "pki/cert.h"

struct succession {
	const char *id; /* borrowed, like all of it */
	const char *key_kinds;
	struct keyd_client *keyd;
	const char *certd; /* a socket */
	bool rotate_key;
	pthread_rwlock_t *in_use; /* held for reading by who uses certificate and key together; the swap writes */
	/* The CSR, appended to *csr. */
	int (*request)(void *arg, const struct key *key, struct buf *csr, struct err *err);
	/* Is it what was asked for?  What isn't is thrown away. */
	int (*judge)(void *arg, const struct certs *chain, const struct key *key, struct err *err);
	/* A connection with it.  What can't be tried, or is refused, waits for the next attempt; when what is in force has ended it takes over all the same.  NULL: there is none to make. */
	int (*test)(void *arg, const struct certs *chain, const struct key *key, struct err *err);
	/* The certificate in force is another now, and its key may lie under another id: called while nobody uses them.  May be NULL. */
	void (*on_swap)(void *arg);
	void *arg;
};

/* For in_use: who swaps is not kept waiting by ever new users. */
void succession_lock_init(pthread_rwlock_t *lock);

struct succession_pair {
	struct certs chain;
	struct key *key;
	char *key_id;
};
void succession_pair_clear(struct succession_pair *pair);

/* What is in force.  ERR_MISSING: no certificate, or none that a key of ours belongs to. */
int succession_load(const struct succession *s, struct succession_pair *out, struct err *err);
/* For renewals.h.  What was kept is looked at when what is in force is not good by now. */
int succession_look(const struct succession *s, struct renewal_found *out, struct err *err);
int succession_act(const struct succession *s, enum renewal_step step, struct err *err);
/* The first half of it, for who is to be known before he takes over: the successor is made and lies under ID-temp, where succession_act finds it.  Nothing to follow is fine. */
int succession_prepare(const struct succession *s, struct err *err);
/* Of a successor that is good and waits there; ERR_MISSING: there is none. */
int succession_look_at_next(const struct succession *s, struct renewal_found *out, struct err *err);
/* Ends what a crash interrupted; nothing to do is fine. */
int succession_settle(const struct succession *s, struct err *err);
