/* SPDX-License-Identifier: Apache-2.0 */
/* Is this certificate for that name?  SAN only, never the CN; exact names, or a wildcard that is a whole left label; addresses as addresses.  What the
 * certificate does hold stands in the verdict, because that is what people need to see. */
#include <string.h>

#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/text.h"
#include "pki/chain.h"
#include "wire/uri.h"

static bool
matches(const struct cert *leaf, const char *host)
{
	const unsigned int flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

	if (*host == '\0' || *host == '.')
		return false; /* X509_check_host would take ".example.com" for every name below it */
	if (uri_is_ip(host))
		return X509_check_ip_asc(cert_x509(leaf), host, 0) == 1;
	return X509_check_host(cert_x509(leaf), host, strlen(host), flags, NULL) == 1;
}

void
name_check(struct verdict *v, const struct cert *leaf, const char *host)
{
	OWN_TEXT names = cert_names(leaf);
	const char *found = *names ? names : "no names (no subjectAltName; a CN does not count)";
	size_t len = strlen(host);
	OWN_TEXT plain = mem_textn(host, len > 1 && host[len - 1] == '.' ? len - 1 : len); /* a name's root dot */

	if (matches(leaf, plain))
		verdict_pass(v, "name", cert_subject(leaf), host, found);
	else
		verdict_fail(v, uri_is_ip(plain) ? NAME_IP_MISMATCH : NAME_MISMATCH, "name", cert_subject(leaf), host, found);
}

void
name_check_email(struct verdict *v, const struct cert *leaf, const char *email)
{
	OWN_TEXT names = cert_names(leaf);

	if (X509_check_email(cert_x509(leaf), email, strlen(email), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT) == 1)
		verdict_pass(v, "mail address", cert_subject(leaf), email, names);
	else
		verdict_fail(v, NAME_MISMATCH, "mail address", cert_subject(leaf), email,
			*names ? names : "no names (no subjectAltName)");
}
