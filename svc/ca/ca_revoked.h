/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What has been revoked of that which a journal says was issued: a SQLite file beside the journal, rows that are only ever added.  Tools write into it while a server serves, which looks
 * whether there is more (ca_revoked_count), and makes new lists then.  An entry stays when its certificate has ended: an expired one may still ask for its renewal.
 *
 * All functions may be called by any thread, and block. */

#include "ca/ca_journal.h"
#include "pki/crl.h"

struct ca_revoked;
char *ca_revoked_path(const char *journal_path);		       /* revoked.db beside it; the caller owns it */
struct ca_revoked *ca_revoked_open(const char *path, struct err *err); /* makes it where there is none */
void ca_revoked_close(struct ca_revoked *revoked);

/* CONFLICT: it is revoked already. */
int ca_revoked_add(struct ca_revoked *revoked, const struct ca_entry *entry, enum crl_reason reason, int64_t now, struct err *err);
int ca_revoked_count(struct ca_revoked *revoked, int64_t *n, struct err *err);
struct ca_revocation {
	const char *issuer, *serial, *subject, *requester; /* the SHA-256 of the CA and the number: hex in upper case */
	int64_t when;
	enum crl_reason reason;
};
/* In the order in which they were revoked; issuer NULL: of all. */
int ca_revoked_each(struct ca_revoked *revoked, const char *issuer, void (*each)(void *arg, const struct ca_revocation *one),
	void *arg, struct err *err);
/* *out.when 0: it is not revoked.  Only when and reason are told. */
int ca_revoked_find(struct ca_revoked *revoked, const char *issuer, const char *serial, struct ca_revocation *out, struct err *err);
/* The next number of a list of this CA, greater than each before it; durable when it returns. */
int ca_revoked_number(struct ca_revoked *revoked, const char *issuer, int64_t *number, struct err *err);
