/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of issuing, one function each.  They run in the order of what they cost, and all before anything is signed. */
#include "ca/ca_policy.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#define CLOCK_SLACK_S 86400 /* a clock that was put right by less than this is no reason to stop */

void
ca_grant_clear(struct ca_grant *grant)
{
	for (size_t i = 0; i < grant->n_names; i++)
		mem_free(grant->names[i]);
	*grant = (struct ca_grant){ 0 };
}

/* -- The request itself ----------------------------------------------------------------------------------------------------------- */

static void
check_signature(struct verdict *v, const struct csr *csr)
{
	if (csr_is_signed_safely(csr))
		verdict_pass(v, "signature of the request", NULL, "SHA-256 or better", "it is");
	else
		verdict_fail(
			v, CSR_WEAK_SIGNATURE, "signature of the request", csr_common_name(csr), "SHA-256 or better", "another");
}

static void
check_key(struct verdict *v, const struct csr *csr, const struct ca_profile *profile)
{
	char found[KEY_DESCRIBE_LEN], wanted[128] = "";
	size_t len = 0;
	enum key_alg alg;

	for (unsigned i = KEY_EC_P256; i <= KEY_ED25519; i++)
		if (profile->keys & CA_KEY(i))
			len += (size_t)snprintf(
				wanted + len, sizeof(wanted) - len, "%s%s", len ? ", " : "", key_alg_name((enum key_alg)i));
	key_pkey_describe(csr_public_key(csr), found);
	if (key_pkey_alg(csr_public_key(csr), &alg) && (profile->keys & CA_KEY(alg)))
		verdict_pass(v, "key", NULL, wanted, found);
	else
		verdict_fail(v, CSR_KEY_REFUSED, "key", csr_common_name(csr), wanted, found);
}

/* No profile issues a CA because a request asks for one: an Edge CA's does it for whom it was set up. */
static void
check_rights(struct verdict *v, const struct csr *csr, const struct ca_profile *profile)
{
	if (profile->kind == CA_EDGE_CA)
		return;
	if (csr_asks_ca(csr))
		verdict_fail(v, CSR_ASKS_CA, "rights", csr_common_name(csr), ca_kind_name(profile->kind), "a CA");
	else
		verdict_pass(v, "rights", NULL, ca_kind_name(profile->kind), "no CA");
}

/* -- Names ------------------------------------------------------------------------------------------------------------------------ */

static bool
is_own(const struct ca_requester *r, const char *name)
{
	if (text_is(name, r->id))
		return true;
	for (size_t i = 0; i < r->n_names; i++)
		if (text_is(name, r->names[i]))
			return true;
	return false;
}

static void
check_common_name(struct verdict *v, const struct csr *csr, const struct ca_requester *r)
{
	const char *name = csr_common_name(csr);

	if (csr_count_common_names(csr) != 1 || !name)
		verdict_fail(v, CSR_WRONG_NAME, "common name", NULL, r->id, name ? "several" : "none");
	else if (!is_own(r, name))
		verdict_fail(v, CSR_WRONG_NAME, "common name", NULL, r->id, name);
	else
		verdict_pass(v, "common name", NULL, r->id, name);
}

/* Those that can't be told (a directory name, an email address, one with a NUL) are nobody's. */
static void
check_names(struct verdict *v, struct ca_grant *grant, const struct csr *csr, const struct ca_requester *r)
{
	size_t asked = csr_count_names(csr);

	grant->n_names = asked <= ISSUE_NAMES_MAX ? csr_names(csr, grant->names, ISSUE_NAMES_MAX) : 0;
	if (grant->n_names != asked) {
		verdict_fail(v, CSR_FOREIGN_NAME, "alternative names", NULL, r->id, "one that nobody can have, or too many");
		return;
	}
	for (size_t i = 0; i < grant->n_names; i++)
		if (!is_own(r, grant->names[i])) {
			verdict_fail(v, CSR_FOREIGN_NAME, "alternative names", NULL, r->id, grant->names[i]);
			return;
		}
	verdict_pass(v, "alternative names", NULL, r->id, asked > 0 ? "its own" : "none");
}

/* -- The CA and the time ---------------------------------------------------------------------------------------------------------- */

static void
check_time(struct verdict *v, const struct ca_circumstances *c)
{
	const char *ca = cert_subject(ca_signer_chain(c->signer)->item[0]);
	char now[CLOCK_TEXT_LEN], limit[CLOCK_TEXT_LEN];

	clock_text(c->now, now);
	if (c->now + CLOCK_SLACK_S < c->last_issued)
		verdict_fail(v, CA_CLOCK_BEHIND, "clock", ca, clock_text(c->last_issued, limit), now);
	else if (c->now >= ca_signer_ends(c->signer))
		verdict_fail(v, CERT_EXPIRED, "validity of the issuing CA", ca, clock_text(ca_signer_ends(c->signer), limit), now);
	else if (c->now < ca_signer_begins(c->signer))
		verdict_fail(v, CERT_NOT_YET_VALID, "validity of the issuing CA", ca,
			clock_text(ca_signer_begins(c->signer), limit), now);
	else
		verdict_pass(v, "validity of the issuing CA", ca, clock_text(ca_signer_ends(c->signer), limit), now);
}

/* -- Together --------------------------------------------------------------------------------------------------------------------- */

static void
fill(struct ca_grant *grant, const struct ca_request *request, const struct ca_circumstances *c)
{
	const struct ca_profile *profile = request->profile;
	int64_t from = c->now - ISSUE_BACKDATE_S, until = c->now + profile->lifetime_s;

	grant->profile = (struct profile){
		.kind = ca_kind_issues(profile->kind),
		.common_name = csr_common_name(request->csr),
		.path_len = profile->path_len,
		.not_before = from < ca_signer_begins(c->signer) ? ca_signer_begins(c->signer) : from,
		.crl_url = profile->crl_url,
		.ocsp_url = profile->ocsp_url,
		.not_after = until > ca_signer_ends(c->signer) ? ca_signer_ends(c->signer) : until,
	};
	if (!ca_kind_has_names(profile->kind))
		return;
	for (size_t i = 0; i < grant->n_names; i++)
		grant->profile.names[grant->profile.n_names++] = grant->names[i];
	if (grant->n_names == 0 && issue_is_host(grant->profile.common_name))
		grant->profile.names[grant->profile.n_names++] = grant->profile.common_name;
}

bool
ca_policy_decide(struct verdict *v, struct ca_grant *out, const struct ca_request *request, const struct ca_circumstances *c)
{
	*out = (struct ca_grant){ 0 };
	check_time(v, c);
	check_signature(v, request->csr);
	check_key(v, request->csr, request->profile);
	check_rights(v, request->csr, request->profile);
	check_common_name(v, request->csr, &request->requester);
	check_names(v, out, request->csr, &request->requester);
	if (!verdict_accepted(v)) {
		ca_grant_clear(out);
		return false;
	}
	fill(out, request, c);
	return true;
}
