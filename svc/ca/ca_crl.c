/* SPDX-License-Identifier: Apache-2.0 */
/* From rows to a list (ca_crl.h). */
#include "ca/ca_crl.h"

#include "base/mem.h"
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
