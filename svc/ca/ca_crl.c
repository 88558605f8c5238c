/* SPDX-License-Identifier: Apache-2.0 */
/* From rows to a list, and to a set (ca_crl.h). */
#include "ca/ca_crl.h"

#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"

/* Rows name their CA by its certificate's digest, the journal has that. */
struct issuers {
	struct ca_journal *journal;
	char *last; /* whose chain this is */
	struct certs chain;
};

static void
issuers_clear(struct issuers *i)
{
	certs_clear(&i->chain);
	mem_free(i->last);
}

/* NULL: with err. */
static const struct cert *
find_issuer(struct issuers *i, const char *issuer, struct err *err)
{
	if (!text_is(i->last, issuer)) {
		issuers_clear(i);
		i->chain = (struct certs){ 0 };
		i->last = mem_text(issuer);
		if (ca_journal_find_issuer(i->journal, issuer, &i->chain, err) < 0)
			return NULL;
	}
	return i->chain.n > 0 ? i->chain.item[0]
			      : err_null(err, ERR_BROKEN, "the journal has no issuer %s of what was revoked", issuer);
}

/* -- The list ------------------------------------------------------------------------------------------------------------------------------- */

struct making {
	struct crl *crl;
	const struct cert *ca;
	const char *ca_digest;
	struct issuers issuers;
	char *decided; /* the issuer that `is_own` is about */
	bool is_own;
	struct err *err;
	bool failed;
};

/* What a CA has issued by another certificate of its own, an earlier one or one that another CA has signed, is in the same list (RFC 5280 5: a list is of a name and a key). */
static bool
is_own(struct making *m, const char *issuer)
{
	const struct cert *cert;

	if (text_is(m->ca_digest, issuer))
		return true;
	if (text_is(m->decided, issuer))
		return m->is_own;
	cert = find_issuer(&m->issuers, issuer, m->err);
	m->failed |= !cert;
	m->is_own = cert && cert_is_same_ca(cert, m->ca);
	mem_free(m->decided);
	m->decided = mem_text(issuer);
	return m->is_own;
}

static void
take(void *arg, const struct ca_revocation *one)
{
	struct making *m = arg;

	if (!m->failed && is_own(m, one->issuer))
		m->failed = crl_add(m->crl, one->serial, one->when, one->reason, m->err) < 0;
}

static int
fill(struct making *m, struct ca_revoked *revoked, struct err *err)
{
	int done = ca_revoked_each(revoked, NULL, take, m, err);

	issuers_clear(&m->issuers);
	mem_free(m->decided);
	return done < 0 || m->failed ? err_wrap(err, "the revocation list of %s", cert_subject(m->ca)) : 0;
}

int
ca_crl_make(struct buf *out, const struct ca_signer *signer, struct ca_revoked *revoked, struct ca_journal *journal, int64_t now,
	int64_t lifetime_s, struct err *err)
{
	const struct cert *ca = ca_signer_chain(signer)->item[0];
	CLEAR(buf) hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);
	struct making m = { .ca = ca, .issuers.journal = journal, .err = err };
	OWN(crl) crl = NULL;
	int64_t number;

	hex_encode(&hex, cert_sha256(ca), DIGEST_SHA256_LEN, true);
	if (ca_revoked_number(revoked, buf_text(&hex), &number, err) < 0)
		return -1;
	m.ca_digest = buf_text(&hex);
	m.crl = crl = crl_new(number, now - ISSUE_BACKDATE_S, now + lifetime_s);
	if (fill(&m, revoked, err) < 0)
		return -1;
	return crl_sign(crl, ca, ca_signer_key(signer), out, err);
}

/* -- The set -------------------------------------------------------------------------------------------------------------------------------- */

struct filling {
	struct revocations *set;
	struct issuers issuers;
	struct err *err;
	bool failed;
};

static void
put(void *arg, const struct ca_revocation *one)
{
	struct filling *f = arg;
	const struct cert *ca = f->failed ? NULL : find_issuer(&f->issuers, one->issuer, f->err);

	f->failed = !ca || revocations_put(f->set, ca, one->serial, f->err) < 0;
}

int
ca_crl_set(struct revocations *out, struct ca_revoked *revoked, struct ca_journal *journal, struct err *err)
{
	struct filling f = { .set = out, .issuers.journal = journal, .err = err };
	int done = ca_revoked_each(revoked, NULL, put, &f, err);

	issuers_clear(&f.issuers);
	revocations_sort(out);
	return done < 0 || f.failed ? -1 : 0;
}
