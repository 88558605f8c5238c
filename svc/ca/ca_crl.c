/* SPDX-License-Identifier: Apache-2.0 */
/* From rows to a list, and to a set (ca_crl.h). */
#include "ca/ca_crl.h"

#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"

struct making {
	struct crl *crl;
	struct err *err;
	bool failed;
};

static void
take(void *arg, const struct ca_revocation *one)
{
	struct making *m = arg;

	m->failed |= !m->failed && crl_add(m->crl, one->serial, one->when, one->reason, m->err) < 0;
}

int
ca_crl_make(struct buf *out, const struct ca_signer *signer, struct ca_revoked *revoked, int64_t now, int64_t lifetime_s,
	struct err *err)
{
	const struct cert *ca = ca_signer_chain(signer)->item[0];
	CLEAR(buf) hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);
	struct making m = { .err = err };
	OWN(crl) crl = NULL;
	int64_t number;

	hex_encode(&hex, cert_sha256(ca), DIGEST_SHA256_LEN, true);
	if (ca_revoked_number(revoked, buf_text(&hex), &number, err) < 0)
		return -1;
	m.crl = crl = crl_new(number, now - ISSUE_BACKDATE_S, now + lifetime_s);
	if (ca_revoked_each(revoked, buf_text(&hex), take, &m, err) < 0 || m.failed)
		return err_wrap(err, "the revocation list of %s", cert_subject(ca));
	return crl_sign(crl, ca, ca_signer_key(signer), out, err);
}

/* -- The set -------------------------------------------------------------------------------------------------------------------------------- */

struct filling {
	struct revocations *set;
	struct ca_journal *journal;
	char *issuer; /* whose chain this is */
	struct certs chain;
	struct err *err;
	bool failed;
};

static int
find_issuer(struct filling *f, const char *issuer)
{
	if (text_is(f->issuer, issuer))
		return 0;
	certs_clear(&f->chain);
	f->chain = (struct certs){ 0 };
	mem_free(f->issuer);
	f->issuer = mem_text(issuer);
	if (ca_journal_find_issuer(f->journal, issuer, &f->chain, f->err) < 0)
		return -1;
	return f->chain.n > 0 ? 0 : err_set(f->err, ERR_BROKEN, "the journal has no issuer %s of what was revoked", issuer);
}

static void
put(void *arg, const struct ca_revocation *one)
{
	struct filling *f = arg;

	f->failed =
		f->failed || find_issuer(f, one->issuer) < 0 || revocations_put(f->set, f->chain.item[0], one->serial, f->err) < 0;
}

int
ca_crl_set(struct revocations *out, struct ca_revoked *revoked, struct ca_journal *journal, struct err *err)
{
	struct filling f = { .set = out, .journal = journal, .err = err };
	int done = ca_revoked_each(revoked, NULL, put, &f, err);

	certs_clear(&f.chain);
	mem_free(f.issuer);
	revocations_sort(out);
	return done < 0 || f.failed ? -1 : 0;
}
