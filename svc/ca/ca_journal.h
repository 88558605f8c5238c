/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The issuance journal: every certificate that a CA has issued, on disk before it is given out.
 *
 * One SQLite file, rows that are only ever added (the database itself refuses to change or delete one).  Each row has a digest over what it says and over the digest of
 * the row before it, so who changes, removes or inserts one has to make all later digests anew: who has written down the last digest sees that.
 *
 * Whatever later happens to a certificate (that it is revoked) gets a table of its own beside this one, by its fingerprint.
 *
 * Adding is one transaction, one sync, for any number of entries: who issues much collects what waits and adds it together.  All functions may be called by
 * any thread, one at a time goes on.  A second process that would write is refused; readers are welcome. */

#include "pki/cert.h"

struct ca_entry {
	/* What is added; owned. */
	char *profile, *requester;
	struct cert *cert;
	const struct certs *issuer; /* the CA and those above it; borrowed.  Of one that was found: `chain` */
	char *request;		    /* SHA-256 of the request, hex */
	int64_t issued;		    /* seconds UTC */
	bool once;		    /* ask for the certificate that is there (ca_journal_find_again), before adding one */
	/* What adding and finding tell. */
	int64_t sequence;			       /* 1, 2, 3, ... */
	char issuer_sha256[2 * DIGEST_SHA256_LEN + 1]; /* of the CA's certificate, hex in upper case; of one that was found */
	struct certs chain;
	enum ca_added { CA_ADDED, CA_WAS_THERE, CA_KEY_TAKEN } added;
	char *taken_by; /* KEY_TAKEN: which other requester has a valid certificate for this key */
};
void ca_entry_free(struct ca_entry *record);
OWN_DEFINE(ca_entry);

struct ca_journal;
struct ca_journal *ca_journal_open(const char *path, struct err *err);	      /* makes it where there is none */
struct ca_journal *ca_journal_open_reader(const char *path, struct err *err); /* another process may write meanwhile */
void ca_journal_close(struct ca_journal *journal);

/* All of them or, when this fails, none.  What each became stands in `added`: one that WAS_THERE has its certificate and chain replaced by those that are. */
int ca_journal_add(struct ca_journal *journal, struct ca_entry *const *entries, size_t n, struct err *err);
/* When it was, by the clock of then, that the CA issued last; 0: nothing yet.  Where that is an entry that was excused, when it was excused: the clock was right then. */
int64_t ca_journal_last_issued(struct ca_journal *journal, int64_t now);
/* How many there are, and when the latest of them was issued; of a reader too. */
int ca_journal_latest(struct ca_journal *journal, int64_t *n, int64_t *issued, struct err *err);
/* The dates of the first n entries are of a clock that was wrong, and no reason to issue nothing until they come; `at` is when somebody said so, by a clock that is right.  For a tool,
 * with the path of a journal that a server may have open: that looks for it when its own clock is behind. */
struct ca_journal_excuse {
	int64_t n, at;
};
int ca_journal_excuse(const char *journal_path, const struct ca_journal_excuse *excuse, struct err *err);
struct ca_journal_excuse ca_journal_excused(const char *journal_path); /* n 0: none is */

/* By: what is unique, or the newest one.  Serial and fingerprint are hex in upper case without colons, a subject is as cert_subject has it.  *out is NULL when
 * there is none. */
enum ca_journal_key { CA_BY_FINGERPRINT, CA_BY_SERIAL, CA_BY_SUBJECT, CA_BY_REQUESTER };
int ca_journal_find(struct ca_journal *journal, enum ca_journal_key key, const char *value, struct ca_entry **out, struct err *err);
/* By serial number, of one CA: its certificate may have been renewed since.  Two CAs in one journal may have given the same number. */
int ca_journal_find_of_ca(
	struct ca_journal *journal, const struct cert *ca, const char *serial, struct ca_entry **out, struct err *err);
/* The same of any other CA than this one. */
int ca_journal_find_of_another(
	struct ca_journal *journal, const struct cert *ca, const char *serial, struct ca_entry **out, struct err *err);
/* The one for the same request of the same requester, by the same profile and the same CA, that may be given again at `now`: two thirds of its life are not over. */
struct ca_again {
	const char *requester, *request, *profile;
	const struct certs *issuer;
};
int ca_journal_find_again(
	struct ca_journal *journal, const struct ca_again *again, int64_t now, struct ca_entry **out, struct err *err);
/* The chain of an issuer, the CA first, by the SHA-256 of that (hex in upper case); empty when nothing was issued by it. */
int ca_journal_find_issuer(struct ca_journal *journal, const char *fingerprint, struct certs *out, struct err *err);
/* In their order, those after `after`, at most max; returns how many, or -1. */
int ca_journal_list(struct ca_journal *journal, int64_t after, int max, void (*each)(void *arg, const struct ca_entry *record),
	void *arg, struct err *err);

struct ca_journal_finding {
	int64_t n;			      /* that are sound */
	char head[2 * DIGEST_SHA256_LEN + 1]; /* the digest of the last one: hex */
};
/* All rows against their digests and their certificates.  -1: which one is not as it was written. */
int ca_journal_verify(struct ca_journal *journal, struct ca_journal_finding *out, struct err *err);
