/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A certificate is issued: judged, signed, written down, given out, in this order.  Whoever serves a protocol (provisioning, EST) authenticates the requester, finds
 * the profile, and asks here.
 *
 * ca_issue does all of it and waits for the disk.  Who issues much calls ca_issue_prepare on as many workers as he likes and adds what they made together
 * (ca_journal_add), which is one sync for all. */

#include "ca/ca_journal.h"
#include "ca/ca_policy.h"

/* A CA whose key somebody else has.  obtain blocks, and looks whether what comes is what was granted.  NULL with *v accepted and no err: it is not decided yet, *request->wait_s says when to
 * ask again, with the same request. */
struct ca_elsewhere {
	void *arg;
	struct cert *(*obtain)(void *arg, const struct ca_request *request, const struct ca_grant *grant, int64_t now,
		struct verdict *v, struct err *err);
};

struct ca_desk {
	const struct ca_signer *signer;
	struct ca_journal *journal;
	const struct ca_elsewhere *elsewhere; /* NULL: signer has the key */
};

/* Judged and signed, and not yet on disk: nobody may see it.  NULL with *v accepted is a failure, with err; with *v refused it is an answer (CA_KEY_AWAY with what the token said in err), and with
 * neither it waits elsewhere.  Asked `once`
 * this may be one that is there already. */
struct ca_entry *ca_issue_prepare(
	const struct ca_desk *desk, const struct ca_request *request, int64_t now, struct verdict *v, struct err *err);
/* The same, on disk.  What is refused only there (CSR_KEY_TAKEN) is in *v, too. */
struct ca_entry *ca_issue(
	const struct ca_desk *desk, const struct ca_request *request, int64_t now, struct verdict *v, struct err *err);
/* Is it the CA that can't issue just now (its key, its clock, its own time), and not the request that was refused?  Of a verdict that ca_issue or ca_policy_decide have added to. */
bool ca_issue_is_later(const struct verdict *v);
/* What adding found, for who adds by himself: false and in *v when it was not added. */
bool ca_issue_settle(const struct ca_entry *record, struct verdict *v);
