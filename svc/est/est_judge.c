/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials and names (est_judge.h). */
#include "est/est_judge.h"

#include <string.h>

#include "auth/password.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/http_basic.h"

#define LINKING_MAX 128 /* base64 of a channel binding */

void
est_who_clear(struct est_who *who)
{
	mem_free(who->name);
	est_names_clear(&who->may);
	*who = (struct est_who){ 0 };
}

/* -- Certificates ------------------------------------------------------------------------------------------------------------------- */

static void
verify(struct verdict *v, const struct anchors *anchors, const struct certs *peer, int64_t now, const struct est_label *label,
	bool own)
{
	struct chain_query query = {
		.leaf = peer->item[0],
		.untrusted = peer,
		.purpose = CHAIN_CLIENT,
		.now = now,
		/* Of those that our CA signed itself: an Edge CA below it could issue one for anybody. */
		.max_depth = own ? CHAIN_NO_INTERMEDIATES : 0,
		.partial = true,
		.refuse_ca_leaf = !own || label->profile.kind != CA_EDGE_CA,
		.anchors_name = own ? "the issuing CA" : "the bootstrap roots",
	};

	if (est_memo_has(label->memo, own, peer, now)) {
		verdict_pass(v, "chain", cert_subject(query.leaf), query.anchors_name, "as before");
		return;
	}
	chain_verify(v, anchors, &query);
	if (verdict_accepted(v))
		est_memo_put(label->memo, own, peer, anchors_certs(anchors));
}

/* An expired one is judged as of its last second, if that was not long ago. */
static int64_t
judging_time(const struct est_visit *visit, const struct cert *leaf)
{
	int64_t end = cert_not_after(leaf);

	if (visit->renewing && visit->now >= end && visit->now - end < visit->label->expired_s)
		return end - 1;
	return visit->now;
}

static bool
take_cert(struct verdict *v, struct est_who *out, const struct cert *leaf, const struct est_names *templates, enum est_by by)
{
	const char *name = cert_common_name(leaf);

	if (!name || !est_names_fill(&out->may, templates, name)) {
		verdict_fail(v, EST_PATTERN_NAME, "name of the client", cert_subject(leaf), "one common name, without * and ?",
			name ? name : "none");
		return false;
	}
	out->name = mem_text(name);
	out->by = by;
	return true;
}

/* As the last of the questions: a chain that does not hold says more. */
static bool
is_revoked(struct verdict *v, const struct revocations *revoked, const struct cert *leaf)
{
	OWN_TEXT serial = NULL;

	if (!revocations_have(revoked, leaf))
		return false;
	serial = cert_serial(leaf);
	verdict_fail(v, CERT_REVOKED, "revocation", cert_subject(leaf), "not revoked", serial);
	return true;
}

/* true: it is the issuing CA's own, and *v has what was found.  Else it says why not. */
static bool
judge_own(struct verdict *v, struct verdict **why_not, struct est_who *out, const struct est_visit *visit, const struct certs *peer)
{
	const struct cert *leaf = peer->item[0];
	OWN(verdict) own = verdict_new("est", "", NULL);

	verify(own, visit->label->issuer->anchors, peer, judging_time(visit, leaf), visit->label, true);
	if (!verdict_accepted(own)) {
		*why_not = GIVE(own);
		return false;
	}
	verdict_absorb(v, GIVE(own));
	if (!is_revoked(v, visit->revoked, leaf))
		take_cert(v, out, leaf, &visit->label->may, EST_BY_CURRENT);
	return true;
}

static bool
judge_bootstrap(
	struct verdict *v, struct verdict **why_not, struct est_who *out, const struct est_visit *visit, const struct certs *peer)
{
	const struct est_label *label = visit->label;
	OWN(verdict) foreign = verdict_new("est", "", NULL);

	verify(foreign, label->bootstrap, peer, visit->now, label, false);
	if (!verdict_accepted(foreign)) {
		*why_not = GIVE(foreign);
		return false;
	}
	verdict_absorb(v, GIVE(foreign));
	if (!is_revoked(v, label->bootstrap_revoked, peer->item[0]))
		take_cert(v, out, peer->item[0], &label->bootstrap_may, EST_BY_BOOTSTRAP);
	return true;
}

static void
judge_cert(struct verdict *v, struct est_who *out, const struct est_visit *visit, const struct certs *peer)
{
	const struct cert *leaf = peer->item[0], *ca = anchors_certs(visit->label->issuer->anchors)->item[0];
	bool has_bootstrap = visit->label->bootstrap != NULL;
	OWN(verdict) own = NULL;
	OWN(verdict) foreign = NULL;

	/* Its own certificates have the CA's name, so of others the question needs no signature. */
	if ((!has_bootstrap || text_is(cert_issuer(leaf), cert_subject(ca))) && judge_own(v, &own, out, visit, peer))
		return;
	if (has_bootstrap && judge_bootstrap(v, &foreign, out, visit, peer))
		return;
	/* Which of the two says more?  That of the CA which did issue it. */
	verdict_absorb(v, own && (!foreign || cert_is_issued_by(leaf, ca)) ? GIVE(own) : GIVE(foreign));
}

/* -- Passwords ---------------------------------------------------------------------------------------------------------------------- */

static void
refuse_password(struct verdict *v, const char *name)
{
	verdict_fail(v, EST_WRONG_PASSWORD, "password", name, "the user's, or one for one time", "another");
}

static bool
take_one_time(struct verdict *v, struct est_who *out, const struct est_visit *visit, const struct est_one_time *o)
{
	bool here = text_fits(visit->label->name, o->label);

	if (o->used || o->until <= visit->now || !here) {
		verdict_fail(v, EST_ONE_TIME_USED, "one-time password", o->id, "unused, in its time, for this label",
			o->used ? "used"
			: !here ? "for another label"
				: "past its time");
		return false;
	}
	verdict_pass(v, "one-time password", o->id, "unused, in its time, for this label", "it is");
	out->name = mem_text(o->id);
	out->by = EST_BY_ONE_TIME;
	return est_names_add(&out->may, o->id);
}

static void
take_user(struct verdict *v, struct est_who *out, const struct est_user *user)
{
	verdict_pass(v, "password", user->name, "the user's", "it is");
	out->name = mem_text(user->name);
	out->by = EST_BY_USER;
	for (size_t i = 0; i < user->may.n; i++)
		est_names_add(&out->may, user->may.item[i]);
}

/* The name does not matter to a one-time password: clients put there what they like. */
static int
judge_one_time(struct verdict *v, struct est_who *out, const struct est_visit *visit, const char *name, const char *password,
	struct est_store *store, struct err *err)
{
	CLEAR(est_one_time) o = { 0 };
	char digest[EST_DIGEST_LEN];
	bool found;

	est_one_time_digest(digest, password);
	if (est_store_find_one_time(store, digest, &o, &found, err) < 0)
		return -1;
	if (!found) {
		(void)password_fits(password, NULL); /* so that nobody learns from the time which users there are */
		refuse_password(v, name);
	} else if (take_one_time(v, out, visit, &o)) {
		memcpy(out->one_time, digest, sizeof(digest));
	}
	return 0;
}

static int
judge_password(struct verdict *v, struct est_who *out, const struct est_visit *visit, const char *authorization,
	struct est_store *store, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(HTTP_BASIC_MAX);
	CLEAR(est_user) user = { 0 };
	const char *password = NULL, *name;
	bool found;
	int done = 0;

	if (!http_basic_read(&text, &password, authorization)) {
		refuse_password(v, NULL);
		buf_wipe(&text);
		return 0;
	}
	name = buf_text(&text);
	if (est_store_find_user(store, name, &user, &found, err) < 0)
		done = -1;
	else if (!found)
		done = judge_one_time(v, out, visit, name, password, store, err);
	else if (password_fits(password, user.hash))
		take_user(v, out, &user);
	else
		refuse_password(v, name);
	buf_wipe(&text);
	return done;
}

/* -- Together ----------------------------------------------------------------------------------------------------------------------- */

int
est_judge_who(struct verdict *v, struct est_who *out, const struct est_visit *visit, const struct est_credentials *credentials,
	struct est_store *store, struct err *err)
{
	const struct est_label *label = visit->label;
	bool has_cert = credentials->peer->n > 0;

	if (!visit->renewing && label->takes_passwords && credentials->authorization)
		return judge_password(v, out, visit, credentials->authorization, store, err);
	if (!has_cert) {
		verdict_fail(v, EST_NO_CREDENTIALS, "client", NULL,
			visit->renewing		 ? "the certificate that is to be renewed"
			: label->takes_passwords ? "a client certificate or a password"
						 : "a client certificate",
			"none");
		return 0;
	}
	judge_cert(v, out, visit, credentials->peer);
	if (visit->renewing && out->by == EST_BY_BOOTSTRAP)
		verdict_fail(v, EST_NOT_RENEWABLE, "renewal", cert_subject(credentials->peer->item[0]),
			cert_subject(anchors_certs(label->issuer->anchors)->item[0]), cert_issuer(credentials->peer->item[0]));
	return 0;
}

void
est_judge_linking(
	struct verdict *v, const struct est_label *label, const struct csr *csr, const uint8_t *binding, size_t binding_len)
{
	CLEAR(buf) wanted = BUF_INIT(LINKING_MAX);
	OWN_TEXT found = NULL;
	enum csr_challenge challenge = csr_find_challenge(csr, &found);

	base64_encode(&wanted, binding, binding_len);
	if (challenge == CSR_NO_CHALLENGE) {
		if (label->demands_linking)
			verdict_fail(
				v, EST_NOT_LINKED, "session of the request", csr_common_name(csr), "this one", "none is named");
		return;
	}
	if (challenge == CSR_CHALLENGE && binding_len > 0 && strlen(found) == wanted.len &&
		mem_equal_ct(found, wanted.data, wanted.len))
		verdict_pass(v, "session of the request", NULL, "this one", "it is");
	else
		verdict_fail(v, EST_OTHER_SESSION, "session of the request", csr_common_name(csr), "this one", "another");
}

void
est_judge_names(struct verdict *v, const struct csr *csr, const struct cert *current)
{
	OWN_TEXT names = cert_names(current);

	if (csr_is_named_as(csr, current))
		verdict_pass(v, "names of the certificate that is renewed", NULL, cert_subject(current), "the same");
	else
		verdict_fail(v, EST_OTHER_NAMES, "names of the certificate that is renewed", cert_subject(current),
			names && *names ? names : "no alternative names", "others");
}

void
est_claim_clear(struct est_claim *claim)
{
	for (size_t i = 0; i < claim->n; i++)
		mem_free(claim->names[i]);
	*claim = (struct est_claim){ 0 };
}

static bool
is_among(const struct est_names *may, const char *name)
{
	return !may || est_names_hold(may, name);
}

void
est_claim_make(struct est_claim *out, const struct est_names *may, const struct csr *csr)
{
	const char *common_name = csr_common_name(csr);
	char *asked[ISSUE_NAMES_MAX];
	size_t n = csr_names(csr, asked, ISSUE_NAMES_MAX);

	*out = (struct est_claim){ .id = common_name && is_among(may, common_name) ? common_name : NULL };
	for (size_t i = 0; i < n; i++)
		if (is_among(may, asked[i]))
			out->names[out->n++] = asked[i];
		else
			mem_free(asked[i]);
}
