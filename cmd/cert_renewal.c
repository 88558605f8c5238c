/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge cert needs-renewal: for scripts and timers that renew certificates which no daemon of ours looks after.  The rule is the daemons' (common/renewal.h), the exit status is that of
 * `step certificate needs-renewal` and `tedge cert needs-renewal`: 0 renew it, 1 not yet, 2 that can't be told. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/option.h"
#include "cert.h"
#include "cert_openssl.h"
#include "common/renewal.h"
#include "page.h"
#include "wire/json.h"

enum answer { NEEDED = 0, NOT_YET = 1, NOT_TOLD = 2 };

struct options {
	const char *threshold, *connect_to, *password;
	bool json, quiet, show_openssl;
};

static const struct option_row rows[] = {
	{ "threshold", 't', "SPAN", "when: the share of its life that is over (80%), or the time that is left (10min, 3day)",
		OPTION_TEXT, offsetof(struct options, threshold), 0, 0 },
	{ "quiet", 'q', NULL, "say nothing, the exit status tells", OPTION_FLAG, offsetof(struct options, quiet), 0, 0 },
	{ "json", 0, NULL, "for programs: one object", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	OPENSSL_ROW(struct options),
	CERT_SOURCE_ROWS(struct options),
	{ 0 },
};

static const struct option_usage usage = { "rootedge cert needs-renewal", "[FILE|URL]",
	"Is it time to renew this certificate?  The first of a file, of standard input or of what a server shows.",
	"Exit status: 0 renew it, 1 not yet, 2 that can't be told, or called wrongly.", rows };

static enum answer
judge(const struct cert *cert, int64_t due, const struct options *o)
{
	enum answer answer = clock_wall() >= due ? NEEDED : NOT_YET;
	char due_text[CLOCK_TEXT_LEN], end_text[CLOCK_TEXT_LEN];

	clock_text(due, due_text);
	clock_text(cert_not_after(cert), end_text);
	if (o->json) {
		OWN_LIB(json_t) json = json_pack("{s:s, s:b, s:s, s:s}", "subject", cert_subject(cert), "needsRenewal",
			answer == NEEDED, "due", due_text, "notAfter", end_text);
		OWN_TEXT line = json_line(json);

		puts(line);
	} else if (!o->quiet) {
		printf("%s %s %s; it ends on %s\n", cert_subject(cert),
			answer == NEEDED ? "is to be renewed, since" : "is not to be renewed before", due_text, end_text);
	}
	return answer;
}

static void
show_openssl(const struct cert_source *source, const struct cert *cert, int64_t due)
{
	CLEAR(buf) script = BUF_INIT(PAGE_MAX);

	buf_puts(&script, "! ");
	openssl_put_source(&script, source);
	buf_putf(&script, "openssl x509 -noout -checkend %lld", (long long)(cert_not_after(cert) - due));
	openssl_put_in(&script, source);
	buf_putc(&script, '\n');
	page_print(&script);
}

int
cert_verb_needs_renewal(int argc, char **argv)
{
	struct options o = { 0 };
	struct renewal_policy policy = RENEWAL_POLICY_DEFAULT;
	struct err err = ERR_INIT;
	struct cert_source source = { 0 };
	CLEAR(certs) certs = { 0 };
	int n = option_parse(&usage, &o, argc, argv, &err);
	int64_t due;

	if (n > 1)
		n = err_set(&err, ERR_INVALID, "one certificate at a time");
	if (n == 1)
		source.where = argv[0];
	source.connect_to = o.connect_to;
	source.password = o.password;
	if (n < 0 || (o.threshold && renewal_span_parse(&policy.threshold, o.threshold, &err) < 0) ||
		cert_source_read(&certs, &source, &err) < 0)
		return page_failure(usage.command, &err, NOT_TOLD);
	due = renewal_due(&policy, cert_not_before(certs.item[0]), cert_not_after(certs.item[0]));
	if (!o.show_openssl)
		return (int)judge(certs.item[0], due, &o);
	show_openssl(&source, certs.item[0], due);
	return 0;
}
