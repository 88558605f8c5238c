/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of issuing (ca_issue.h). */
#include "ca/ca_issue.h"

#include "base/mem.h"
#include "wire/codec.h"

static char *
digest_text(const uint8_t digest[static DIGEST_SHA256_LEN])
{
	struct buf hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);

	hex_encode(&hex, digest, DIGEST_SHA256_LEN, true);
	return buf_take_text(&hex);
}

static struct ca_entry *
sign(const struct ca_desk *desk, const struct ca_request *request, const struct ca_grant *grant, char *digest_take, int64_t now,
	struct verdict *v, struct err *err)
{
	OWN(ca_entry) r = NEW(ca_entry);

	r->request = digest_take;
	r->profile = mem_text(request->profile->name);
	r->requester = mem_text(request->requester.id);
	r->issuer = ca_signer_chain(desk->signer);
	r->issued = now;
	r->once = request->once;
	r->cert = desk->elsewhere ? desk->elsewhere->obtain(desk->elsewhere->arg, request, grant, now, v, err)
				  : ca_signer_sign(desk->signer, &grant->profile, csr_public_key(request->csr), err);
	if (r->cert)
		return GIVE(r);
	if (desk->elsewhere)
		return NULL;
	if (err->kind == ERR_UNAVAILABLE)
		verdict_fail(v, CA_KEY_AWAY, "key of the CA", cert_subject(r->issuer->item[0]), "there", "away");
	if (err->kind == ERR_INVALID)
		err->kind = ERR_BROKEN; /* the request is as it should be: our CA is not */
	return NULL;
}

struct ca_entry *
ca_issue_prepare(const struct ca_desk *desk, const struct ca_request *request, int64_t now, struct verdict *v, struct err *err)
{
	struct ca_circumstances around = { desk->signer, now, ca_journal_last_issued(desk->journal, now) };
	OWN_TEXT digest = digest_text(csr_sha256(request->csr));
	struct ca_again again = { request->requester.id, digest, request->profile->name, ca_signer_chain(desk->signer) };
	struct ca_entry *r = NULL;
	struct ca_grant grant;

	if (!ca_policy_decide(v, &grant, request, &around))
		return NULL;
	if (request->once && ca_journal_find_again(desk->journal, &again, now, &r, err) < 0) {
		ca_grant_clear(&grant);
		return NULL;
	}
	if (r)
		r->added = CA_WAS_THERE;
	else
		r = sign(desk, request, &grant, GIVE(digest), now, v, err);
	ca_grant_clear(&grant);
	return r;
}

bool
ca_issue_is_later(const struct verdict *v)
{
	enum reason cause = verdict_cause(v);

	return cause == CA_KEY_AWAY || cause == CA_CLOCK_BEHIND || cause == CERT_EXPIRED || cause == CERT_NOT_YET_VALID;
}

bool
ca_issue_settle(const struct ca_entry *r, struct verdict *v)
{
	if (r->added != CA_KEY_TAKEN)
		return true;
	verdict_fail(v, CSR_KEY_TAKEN, "key", cert_subject(r->cert), "a key of its own", r->taken_by);
	return false;
}

struct ca_entry *
ca_issue(const struct ca_desk *desk, const struct ca_request *request, int64_t now, struct verdict *v, struct err *err)
{
	OWN(ca_entry) r = ca_issue_prepare(desk, request, now, v, err);

	if (!r || r->added == CA_WAS_THERE)
		return GIVE(r);
	if (ca_journal_add(desk->journal, (struct ca_entry *[]){ r }, 1, err) < 0)
		return NULL;
	return ca_issue_settle(r, v) ? GIVE(r) : NULL;
}
