/* SPDX-License-Identifier: Apache-2.0 */
/* The dates of one certificate.  The second of notAfter itself counts as expired, as OpenSSL has it: renewal and verification must agree. */
#include "base/clock.h"
#include "base/mem.h"
#include "pki/chain.h"

bool
validity_is_good(const struct cert *cert, int64_t now)
{
	return now >= cert_not_before(cert) && now < cert_not_after(cert);
}

static void
fail(struct verdict *v, enum reason reason, const struct cert *cert, int64_t now)
{
	char at[CLOCK_TEXT_LEN], from[CLOCK_TEXT_LEN], until[CLOCK_TEXT_LEN];
	OWN_TEXT found = mem_textf("now is %s", clock_text(now, at));
	OWN_TEXT wanted = mem_textf("%s to %s", clock_text(cert_not_before(cert), from), clock_text(cert_not_after(cert), until));

	verdict_fail(v, reason, "validity", cert_subject(cert), wanted, found);
}

void
validity_check(struct verdict *v, const struct cert *cert, int64_t now)
{
	char until[CLOCK_TEXT_LEN];
	OWN_TEXT left = NULL;

	if (!validity_is_good(cert, now)) {
		fail(v, now < cert_not_before(cert) ? CERT_NOT_YET_VALID : CERT_EXPIRED, cert, now);
		return;
	}
	left = mem_textf("until %s, %lld days left", clock_text(cert_not_after(cert), until),
		(long long)((cert_not_after(cert) - now) / 86400));
	verdict_pass(v, "validity", cert_subject(cert), "", left);
}
