/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who asks an EST server for a certificate, and may it?  What a profile allows is not asked here (ca/ca_policy.h). */

#include "diag/verdict.h"
#include "est/est_config.h"
#include "est/est_store.h"
#include "pki/issue.h"

struct est_credentials {
	const struct certs *peer;  /* what the client showed in TLS, the leaf first; may be empty */
	const char *authorization; /* the HTTP header, or NULL */
};

struct est_who {
	char *name; /* the certificate's common name, the user's, or what a one-time password is for */
	enum est_by { EST_BY_NOBODY, EST_BY_CURRENT, EST_BY_BOOTSTRAP, EST_BY_USER, EST_BY_ONE_TIME } by;
	struct est_names may;
	char one_time[EST_DIGEST_LEN]; /* to be spent before anything is given out; "" when there is none */
};
void est_who_clear(struct est_who *who);

/* Adds to *v, which may be a refusal.  A label that takes passwords prefers one to a certificate where both are shown: who gives a wrong one is refused.  renewing: only the
 * certificate counts, it must be the issuer's own, and it may have expired as long ago as the label allows.  -1 with err: it could not be found out.  Takes its time. */
struct est_visit {
	const struct est_label *label;
	bool renewing;
	int64_t now;
	const struct revocations *revoked; /* of the issuers; NULL: nothing */
};
int est_judge_who(struct verdict *v, struct est_who *out, const struct est_visit *visit, const struct est_credentials *credentials,
	struct est_store *store, struct err *err);

/* RFC 7030 3.5: a request that says which session it is of says this one, and says it where the label demands that.  A wrong one is never overlooked. */
void est_judge_linking(
	struct verdict *v, const struct est_label *label, const struct csr *csr, const uint8_t *binding, size_t binding_len);
/* RFC 7030 4.2.2. */
void est_judge_names(struct verdict *v, const struct csr *csr, const struct cert *current);

/* The names of the request that are among `may`, for ca_requester; may NULL: all.  id is the common name, NULL when it is not among them; borrowed from the request. */
struct est_claim {
	const char *id;
	char *names[ISSUE_NAMES_MAX];
	size_t n;
};
void est_claim_clear(struct est_claim *claim);
void est_claim_make(struct est_claim *out, const struct est_names *may, const struct csr *csr);
