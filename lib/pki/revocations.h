/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What has been revoked, read from CRLs (RFC 5280 5) once and looked into ever after: a sorted set of short digests of issuer and serial number, so that 100,000 entries are 1.6 MB and a
 * look costs a digest and 17 comparisons.  Immutable once it is shared, by reference.
 *
 * A list that is past its nextUpdate still counts: what it says is revoked stays so.  Delta lists, and lists of some certificates only (issuingDistributionPoint), are refused. */

#include "pki/cert.h"

#define REVOCATION_ID_LEN 16
/* What a certificate is looked for by: its issuer's name and its serial number. */
void revocation_id(const struct cert *cert, uint8_t out[static REVOCATION_ID_LEN]);

struct revocations;
struct revocations *revocations_new(void);
struct revocations *revocations_ref(struct revocations *set);
void revocations_free(struct revocations *set);
OWN_DEFINE(revocations);

#define REVOCATIONS_MAX_BYTES (64 << 20) /* of one file */
/* While it is made: PEM (lists, and the certificates of CAs that signed them, in any order) or one list in DER.  Each list has to be signed by one of `issuers` or of those; with a
 * list whose CA is none of them nothing is added. */
int revocations_add(struct revocations *set, const void *data, size_t len, const struct certs *issuers, struct err *err);

/* One more of this issuer, known otherwise than by a list; serial: hex, as crl_add has it.  revocations_sort at the end of them. */
int revocations_put(struct revocations *set, const struct cert *issuer, const char *serial, struct err *err);
void revocations_sort(struct revocations *set);
void revocations_merge(struct revocations *set, const struct revocations *other); /* while it is made; other may be NULL */

/* What a set says, in a file of its own, for the time when the lists can't be read: durable, written only where it says something else.  Blocks. */
int revocations_save(const struct revocations *set, const char *path, struct err *err);
int revocations_load(struct revocations *set, const char *path,
	struct err *err); /* merged, while it is made; ERR_MISSING: there is no such file */

bool revocations_have(const struct revocations *set, const struct cert *cert); /* NULL is an empty set */
bool revocations_have_id(const struct revocations *set, const uint8_t id[static REVOCATION_ID_LEN]);
size_t revocations_count(const struct revocations *set);
int64_t revocations_next(const struct revocations *set); /* the earliest nextUpdate; 0: none has one */
