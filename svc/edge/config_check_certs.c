/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the certificates and names of a configuration.  Pure. */
#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "edge/config_check.h"
#include "wire/uri.h"

#define DAY 86400
#define SOON_DAYS 7

static void
tell(struct findings *f, enum finding_level level, const struct config_spot *spot, const char *text)
{
	findings_add(f, level, spot->value ? spot->value->file : NULL, spot->value ? spot->value->line : 0, spot->key, "%s", text);
}

void
config_check_dates(struct findings *f, const struct config_spot *spot, const struct cert *cert, int64_t now, bool is_fatal)
{
	char when[CLOCK_TEXT_LEN];
	int64_t left = cert_not_after(cert) - now;
	OWN_TEXT why = NULL;

	if (now < cert_not_before(cert))
		why = mem_textf("the certificate of %.80s is good from %s on only; is this machine's clock right?",
			cert_subject(cert), clock_text(cert_not_before(cert), when));
	else if (left <= 0)
		why = mem_textf(
			"the certificate of %.80s has expired on %s", cert_subject(cert), clock_text(cert_not_after(cert), when));
	if (why) {
		tell(f, is_fatal ? FINDING_ERROR : FINDING_WARNING, spot, why);
		return;
	}
	if (left >= SOON_DAYS * DAY)
		return;
	why = mem_textf("the certificate of %.80s expires on %s, in less than %d days", cert_subject(cert),
		clock_text(cert_not_after(cert), when), SOON_DAYS);
	tell(f, FINDING_WARNING, spot, why);
}

void
config_check_ca(struct findings *f, const struct config_spot *spot, const struct certs *chain, size_t n_below)
{
	OWN_TEXT why = NULL;

	if (!cert_is_ca(chain->item[0]))
		why = mem_textf("the certificate of %.80s is no CA's (basicConstraints CA:TRUE, keyUsage keyCertSign): nobody "
				"trusts what it signs",
			cert_subject(chain->item[0]));
	for (size_t i = 1; !why && i < chain->n; i++)
		if (!cert_is_issued_by(chain->item[i - 1], chain->item[i]))
			why = mem_textf("certificate %zu in the file (%.80s) did not issue the one before it (%.80s)", i + 1,
				cert_subject(chain->item[i]), cert_subject(chain->item[i - 1]));
	for (size_t i = 0; !why && i < chain->n; i++)
		if (cert_path_len(chain->item[i]) >= 0 && (size_t)cert_path_len(chain->item[i]) < i + n_below)
			why = mem_textf(
				"%.80s may have %ld CAs below it (pathLenConstraint), and has %zu: nobody trusts that chain",
				cert_subject(chain->item[i]), cert_path_len(chain->item[i]), i + n_below);
	if (why)
		tell(f, FINDING_ERROR, spot, why);
}

static bool
has_dns_name(const struct cert *cert)
{
	OWN_TEXT names = cert_names(cert);

	return strstr(names, "DNS:") != NULL;
}

void
config_check_server(struct findings *f, const struct config_spot *spot, const struct certs *chain)
{
	const struct cert *leaf = chain->item[0];
	OWN_TEXT why = NULL;

	if (cert_is_ca(leaf))
		why = mem_textf("the first certificate, of %.80s, is a CA's: the server's own comes first", cert_subject(leaf));
	else if (!cert_may_serve(leaf))
		why = mem_textf("the extendedKeyUsage of %.80s doesn't let it be a server", cert_subject(leaf));
	else if (!has_dns_name(leaf))
		why = mem_textf(
			"the certificate of %.80s has no DNS name in its subjectAltName, so nobody ever asks for it: for addresses "
			"there is [gateway] names",
			cert_subject(leaf));
	for (size_t i = 1; !why && i < chain->n; i++)
		if (!cert_is_issued_by(chain->item[i - 1], chain->item[i]))
			why = mem_textf("certificate %zu in the file (%.80s) did not issue the one before it (%.80s)", i + 1,
				cert_subject(chain->item[i]), cert_subject(chain->item[i - 1]));
	if (why)
		tell(f, FINDING_ERROR, spot, why);
}

void
config_check_name(struct findings *f, const struct config_spot *spot, const char *name, const struct config *c)
{
	const struct {
		const char *name, *whose;
	} others[] = {
		{ c->hostname, "the hostname" },
		{ c->device_id, "the device's id" },
		{ c->dps_registration_id, "the registration id" },
	};

	for (size_t i = 0; name && i < COUNT(others); i++) {
		OWN_TEXT why =
			text_is_nocase(name, others[i].name)
				? mem_textf(
					  "the CN '%.64s' is %s too: certificates of the same name make chains that can't be built",
					  name, others[i].whose)
				: NULL;

		if (why) {
			tell(f, FINDING_WARNING, spot, why);
			return;
		}
	}
}

/* RFC 1035 2.3.1, as the original has it: labels of letters, digits and hyphens that start with a letter. */
static bool
is_rfc1035(const char *name)
{
	for (const char *label = name; label; label = strchr(label, '.') ? strchr(label, '.') + 1 : NULL) {
		size_t n = strcspn(label, ".");

		if (n == 0 || n > 63 || !isalpha((unsigned char)label[0]) || label[n - 1] == '-')
			return false;
		for (size_t i = 0; i < n; i++)
			if (!isalnum((unsigned char)label[i]) && label[i] != '-')
				return false;
	}
	return true;
}

void
config_check_hostname(struct findings *f, const struct config_spot *spot, const char *hostname, const char *machine)
{
	OWN_TEXT lower = text_lower(hostname);
	OWN_TEXT own = text_lower(machine);
	OWN_TEXT why = NULL;

	if (uri_is_ip(hostname))
		return;
	if (!is_rfc1035(hostname))
		tell(f, FINDING_WARNING, spot,
			"not a name by RFC 1035 (labels of letters, digits and hyphens that start with a letter): some clients "
			"refuse it");
	if (text_is(lower, own) || (text_starts(lower, own) && lower[strlen(own)] == '.'))
		return;
	why = mem_textf("this machine calls itself '%.64s': devices must be able to resolve '%.64s' to it", machine, hostname);
	tell(f, FINDING_WARNING, spot, why);
}
