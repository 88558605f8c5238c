/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* May this requester have a certificate for this request, and what will stand in it?  A pure function of the request, the profile, who asks, the CA and the time: no
 * I/O, no clock.  Of the request nothing is taken over but its key and those of its names that are the requester's own (est.md, atk-20). */

#include "ca/ca_profile.h"
#include "ca/ca_signer.h"
#include "diag/verdict.h"

/* Who asks, as it was authenticated. */
struct ca_requester {
	const char *id;		  /* what its CN has to be */
	const char *const *names; /* what else it may be called: host names and addresses of a server; NULL: nothing */
	size_t n_names;
};

struct ca_request {
	const struct csr *csr;
	const struct ca_profile *profile;
	struct ca_requester requester;
	bool renews;	 /* what the requester shows; told to a CA elsewhere */
	int64_t *wait_s; /* where such a CA says when to ask again; NULL: the CA is here */
	bool once; /* the same request again, by the same profile, gets the same certificate, as long as two thirds of its life are not over */
};

/* What is to be issued. */
struct ca_grant {
	struct profile profile;
	char *names[ISSUE_NAMES_MAX];
	size_t n_names;
};
void ca_grant_clear(struct ca_grant *grant);

/* last_issued: when the CA issued last; 0: never.  A clock that is behind it is wrong, and so would be the dates. */
struct ca_circumstances {
	const struct ca_signer *signer;
	int64_t now, last_issued;
};
/* Adds to *v.  true: *out is what to issue; it borrows from the request. */
bool ca_policy_decide(
	struct verdict *v, struct ca_grant *out, const struct ca_request *request, const struct ca_circumstances *circumstances);
