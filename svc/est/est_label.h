/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an EST server gives under one label, and to whom, from its table [[label]]. */

#include "ca/ca_profile.h"
#include "est/est_issuer.h"
#include "est/est_memo.h"
#include "est/est_names.h"
#include "pki/revocations.h"

struct est_label {
	struct ca_profile profile; /* whose name is the label's, or "est" where there is none */
	char *name;		   /* "" is for paths without a label */
	const struct est_issuer *issuer;
	struct anchors *bootstrap; /* NULL: none */
	struct est_memo *memo;
	struct revocations *bootstrap_revoked; /* NULL: none */
	struct est_names may, bootstrap_may;
	bool takes_passwords, demands_linking, demands_approval;
	bool first_thumbprint; /* inside a hub: a device that is registered without authentication is known by its first certificate */
	bool announces_key;    /* in /csrattrs */
	enum key_alg key;
	bool makes_keys; /* /serverkeygen: of this kind */
	enum key_alg server_key;
	int64_t expired_s; /* how long a certificate renews itself after its end */
};
void est_label_clear(struct est_label *label);

struct est_issuers {
	struct est_issuer *item;
	size_t n;
};
/* The issuer is one of these, borrowed.  On failure what was read is still to be cleared. */
int est_label_load(struct est_label *out, const struct toml *table, const struct est_issuers *issuers, struct err *err);
bool est_is_operation(const char *name); /* "simpleenroll", ...: a label must not be called so (RFC 7030 3.2.2) */
