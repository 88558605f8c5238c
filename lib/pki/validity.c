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

void
validity_check(struct verdict *v, const struct cert *cert, int64_t now)
{
	char at[CLOCK_TEXT_LEN], from[CLOCK_TEXT_LEN], until[CLOCK_TEXT_LEN];
	OWN_TEXT found = mem_textf("now is %s", clock_text(now, at));
	OWN_TEXT wanted = mem_textf("%s to %s", clock_text(cert_not_before(cert), from), clock_text(cert_not_after(cert), until));
	OWN_TEXT left = mem_textf("until %s, %lld days left", until, (long long)((cert_not_after(cert) - now) / 86400));

	if (now < cert_not_before(cert))
		verdict_fail(v, CERT_NOT_YET_VALID, "validity", cert_subject(cert), wanted, found);
	else if (now >= cert_not_after(cert))
		verdict_fail(v, CERT_EXPIRED, "validity", cert_subject(cert), wanted, found);
	else
		verdict_pass(v, "validity", cert_subject(cert), "", left);
}
