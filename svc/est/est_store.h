/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an EST server remembers beside its journal, in one SQLite file: users with hashed passwords, one-time passwords, and requests that wait for somebody's approval.  The tools
 * of its operator write into the same file while it serves.  All functions may be called by any thread, and block. */

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/own.h"
#include "est/est_names.h"

#define EST_STATE_DEFAULT "/var/lib/rootedge/est"

struct est_store;
char *est_store_path(const char *state_dir);			     /* the caller owns it */
char *est_journal_path(const char *state_dir);			     /* of the certificates that were issued (ca/ca_journal.h) */
struct est_store *est_store_open(const char *path, struct err *err); /* makes it where there is none */
void est_store_close(struct est_store *store);

/* -- Users.  MISSING when there is none of that name. */
struct est_user {
	char *name, *hash; /* auth/password.h */
	struct est_names may;
};
void est_user_clear(struct est_user *user);
int est_store_put_user(
	struct est_store *store, const struct est_user *user, struct err *err); /* in the place of one that is there */
int est_store_find_user(struct est_store *store, const char *name, struct est_user *out, bool *found, struct err *err);
int est_store_remove_user(struct est_store *store, const char *name, struct err *err);
int est_store_list_users(struct est_store *store, void (*each)(void *arg, const struct est_user *user), void *arg, struct err *err);

/* -- One-time passwords, by their SHA-256 in hex: they are random, so that needs no more. */
#define EST_DIGEST_LEN (2 * DIGEST_SHA256_LEN + 1)
#define EST_ONE_TIME_BYTES 18
struct est_one_time {
	char *id, *label;    /* patterns of what it is for */
	int64_t until, used; /* seconds UTC; used 0: not yet */
};
void est_one_time_clear(struct est_one_time *one_time);
void est_one_time_digest(char out[static EST_DIGEST_LEN], const char *password);
int est_store_put_one_time(struct est_store *store, const char *digest, const struct est_one_time *one_time, struct err *err);
int est_store_find_one_time(struct est_store *store, const char *digest, struct est_one_time *out, bool *found, struct err *err);
/* Used, from now on and durably, in one transaction: of those that come at the same time with the same digest one gets it.  A digest of NULL is passed over. */
struct est_spending {
	const char *digest;
	bool got;
};
int est_store_spend(struct est_store *store, struct est_spending *const *list, size_t n, int64_t now, struct err *err);

/* -- Who holds which root: fetched with a certificate of his own, or says that himself.  root: SHA-256 in hex, upper case. */
struct est_holding {
	const char *id, *root;
	int64_t since; /* seconds UTC, the first time */
	bool says;     /* himself; who has once is not taken back by fetching */
};
int est_store_hold(struct est_store *store, const struct est_holding *list, size_t n, struct err *err);
int est_store_list_holders(struct est_store *store, const char *root, void (*each)(void *arg, const struct est_holding *holding),
	void *arg, struct err *err);

/* -- Requests that wait. */
enum est_waiting_state { EST_PENDING, EST_APPROVED, EST_DENIED, EST_ISSUED };
const char *est_waiting_name(enum est_waiting_state state);
struct est_waiting {
	int64_t number, asked;			 /* 1, 2, 3, ...; seconds UTC */
	const char *label, *requester, *request; /* the id that the certificate is for, and csr_wish_sha256 of the CSR in hex */
	const char *who;			 /* asks, for people */
	enum est_waiting_state state;
};
#define EST_WAITING_MAX 10000 /* that are pending: LIMIT beyond it */
/* How is it with this request?  One that is new waits from now on.  Fills number, asked and state. */
int est_store_ask(struct est_store *store, struct est_waiting *waiting, int64_t now, struct err *err);
int est_store_decide(struct est_store *store, int64_t number, bool approve, struct err *err); /* CONFLICT: it has been decided */
int est_store_settle(struct est_store *store, int64_t number, struct err *err);		      /* EST_ISSUED */
int est_store_list_waiting(struct est_store *store, bool all, void (*each)(void *arg, const struct est_waiting *waiting), void *arg,
	struct err *err); /* the pending ones, or all */
