/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A device gets a new certificate without a gap: its two thumbprint slots as a small machine.  An offer puts the new thumbprint into the free slot; the first connection
 * with it promotes it to the primary one; the old one is retired when its grace is over.  Rules only: what the slots become, and when. */

#include "auth/identity.h"

struct rotation {
	char *device_id, *module_id, *generation_id;
	char *old, *new;
	int64_t offered, promoted, retires; /* seconds UTC; 0: not yet */
	bool is_promoting;		    /* the keeper's */
};
void rotation_free(struct rotation *rotation);
OWN_DEFINE(rotation);

enum rotation_answer {
	ROTATION_OK,
	ROTATION_NO_THUMBPRINTS, /* it is registered for another way of authentication, or has none yet */
	ROTATION_IS_THERE,	 /* the thumbprint lets in already */
	ROTATION_NO_FREE_SLOT,
	ROTATION_ENDED, /* the slots were changed otherwise meanwhile */
};
bool rotation_may_begin(const struct identity *record); /* a device that is registered, and so far can't prove in any way that it is that */
/* slots: what the record's become, borrowed from record and rotation.  `before` is the rotation under way or NULL; *out a new one. */
enum rotation_answer rotation_offer(const struct identity *record, const struct rotation *before, const char *thumbprint,
	int64_t now, struct rotation **out, const char *slots[2]);
/* The same for a device that has proven itself otherwise (provisioning): where no slot is free, the thumbprint in use stays and the other one goes at once. */
enum rotation_answer rotation_renew(const struct identity *record, const struct rotation *before, const char *thumbprint,
	int64_t now, struct rotation **out, const char *slots[2]);
/* Promoting sets both times of *rotation. */
enum rotation_answer rotation_promote(
	const struct identity *record, struct rotation *rotation, int64_t grace_s, int64_t now, const char *slots[2]);
enum rotation_answer rotation_retire(const struct identity *record, const struct rotation *rotation, const char *slots[2]);
/* Is this record still the one that the rotation is about? */
bool rotation_holds(const struct identity *record, const struct rotation *rotation);
