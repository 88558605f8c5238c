/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* As whom certd asks EST servers, where it gets that itself (edge-services 8.3): the identity is issued by a bootstrap identity, renewed by itself while it is good, and by the bootstrap
 * identity again once it has ended or the server no longer takes it, so that a device that was off for long needs no person.  Nothing that is good is replaced by what was not judged. */

#include <pthread.h>

#include "certd/est_enrolment.h"
#include "common/renewals.h"

struct est_identity {
	const struct est_context *ctx;
	const struct renewal_policy *policy;
	struct est_account account; /* by which it is renewed */
	pthread_rwlock_t in_use;    /* read: a pair is; write: another takes its place, whose key has the same id */
	pthread_mutex_t lock;
};

void est_identity_init(struct est_identity *identity, const struct est_context *ctx, const struct renewal_policy *policy,
	const struct est_account *account);
void est_identity_clear(struct est_identity *identity);

/* One that is good now, for somebody who asks by `account` and wants a certificate for `subject`, which is the identity's too when it has to be made.  anew: the server doesn't take the one
 * that is there. */
int est_identity_obtain(struct est_pair *out, struct est_identity *identity, const struct est_account *account, X509_NAME *subject,
	bool anew, struct err *err);
/* What is there and good, without a question to anybody; false: nothing is. */
bool est_identity_take_good(struct est_pair *out, struct est_identity *identity, const struct est_account *account);
/* After each that was obtained, on the same thread: until then no other takes its place. */
void est_identity_release(struct est_identity *identity);
/* For renewals.h; arg: the identity. */
int est_identity_look(void *arg, struct renewal_found *out, struct err *err);
int est_identity_renew(void *arg, enum renewal_step step, struct err *err);
