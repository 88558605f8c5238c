/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t_verdict.h"

static struct verdict *
accepted(void)
{
	struct verdict *v = verdict_new("device", "Is this really gw.local?", "gw.local");

	verdict_add_chain(v, "CN=gw.local");
	verdict_add_chain(v, "CN=Edge CA");
	verdict_add_chain(v, "CN=Root");
	verdict_pass(v, "name", "CN=gw.local", "gw.local", "gw.local");
	verdict_note(v, THUMBPRINT_SHA1, "thumbprint", "dev1", "SHA-256", "SHA-1");
	return v;
}

static struct verdict *
refused(void)
{
	struct verdict *v = accepted();

	verdict_fail(v, CERT_EXPIRED, "validity", "CN=gw.local", "now", "until 2026-03-01");
	verdict_fail(v, NAME_MISMATCH, "name", "CN=gw.local", "other", "gw.local");
	return v;
}

TEST("a verdict without a failed check is accepted, notes included")
{
	OWN(verdict) v = accepted();

	CHECK_ACCEPTED(v);
	CHECK_INT(verdict_cause(v), OK);
	CHECK(!verdict_first_failure(v));
}

TEST("the first failed check is the cause, and all are kept")
{
	OWN(verdict) v = refused();

	CHECK(!verdict_accepted(v));
	CHECK_CAUSE(v, CERT_EXPIRED);
	CHECK_REASON(v, CERT_EXPIRED, "gw.local");
	CHECK_REASON(v, NAME_MISMATCH, "gw.local");
	CHECK_STR(verdict_first_failure(v)->found, "until 2026-03-01");
	CHECK_STR(verdict_first_failure(v)->rule, "RFC 5280 4.1.2.5");
}

TEST("texts that are not given are empty, not NULL")
{
	OWN(verdict) v = verdict_new(NULL, NULL, NULL);
	OWN_TEXT sentence = NULL;

	verdict_fail(v, DEVICE_UNKNOWN, NULL, NULL, NULL, NULL);
	CHECK_STR(v->checks[0].wanted, "");
	sentence = verdict_sentence(v);
	CHECK_CONTAINS(sentence, "DEVICE_UNKNOWN");
}

TEST("above 64 checks passes are dropped and failures are kept")
{
	OWN(verdict) v = verdict_new("hub", "?", "d");

	for (int i = 0; i < VERDICT_CHECKS_MAX + 9; i++)
		verdict_pass(v, "x", "", "", "");
	CHECK_INT(v->n_checks, VERDICT_CHECKS_MAX);
	verdict_fail(v, CERT_EXPIRED, "validity", "CN=x", "", "");
	CHECK_CAUSE(v, CERT_EXPIRED);
}

TEST("a verdict that absorbs another has the checks and chains of both, in order")
{
	OWN(verdict) v = accepted();

	verdict_absorb(v, refused());
	CHECK_INT(v->n_checks, 6);
	CHECK_INT(v->n_chain, 6);
	CHECK_CAUSE(v, CERT_EXPIRED);
	CHECK_STR(v->who, "device");
}

TEST("the sentence has code, subject, wanted and found")
{
	OWN(verdict) bad = refused();
	OWN(verdict) good = accepted();
	OWN_TEXT no = verdict_sentence(bad);
	OWN_TEXT yes = verdict_sentence(good);

	CHECK_STR(no, "device: Is this really gw.local? no: gw.local: CERT_EXPIRED: The certificate is past its notAfter date. At: "
		      "CN=gw.local; wanted now; "
		      "found until 2026-03-01");
	CHECK_STR(yes, "device: Is this really gw.local? yes: gw.local");
}

TEST("a verdict survives JSON")
{
	OWN(verdict) v = refused();
	OWN_TEXT first = verdict_json(v);
	struct err err = ERR_INIT;
	OWN(verdict) again = verdict_from_json(first, &err);
	OWN_TEXT second = NULL;

	CHECK(again);
	second = verdict_json(again);
	CHECK_STR(second, first);
	CHECK_CONTAINS(first, "\"accepted\":false,\"cause\":\"CERT_EXPIRED\"");
	CHECK(!strchr(first, '\n'));
}

TEST("text that is not UTF-8 does not break the JSON")
{
	OWN(verdict) v = verdict_new("hub", "?", "\xff");
	OWN_TEXT json = NULL;

	verdict_fail(v, DEVICE_UNKNOWN, "id", "\xc3", "", "");
	json = verdict_json(v);
	CHECK_CONTAINS(json, "\"peer\":\"(not UTF-8)\"");
}

TEST("a code that is not known keeps its answer")
{
	static const char text[] = "{\"who\":\"hub\",\"checks\":[{\"reason\":\"FROM_THE_FUTURE\",\"passed\":true},{\"reason\":"
				   "\"ALSO\",\"passed\":false}]}";
	struct err err = ERR_INIT;
	OWN(verdict) v = verdict_from_json(text, &err);

	CHECK(v);
	CHECK_INT(v->checks[0].reason, OK);
	CHECK(v->checks[0].passed);
	CHECK_CAUSE(v, UNAVAILABLE);
}

TEST("JSON that is no verdict is refused")
{
	static const char *const cases[] = { "", "[]", "{\"checks\":{}}", "{\"checks\":[1]}", "{\"checks\":[{}]}",
		"{\"checks\":[{\"reason\":1}]}", "{\"who\":1}" };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;

		if (verdict_from_json(cases[i], &err))
			fail_msg("accepted '%s'", cases[i]);
		CHECK_INT(err.kind, ERR_INVALID);
	}
}

TEST("an accepted verdict is printed as answer, chain and checks")
{
	OWN(verdict) v = accepted();
	CLEAR(buf) out = BUF_INIT(65536);

	verdict_print(v, &out, false);
	CHECK_STR(buf_text(&out), "✓ Is this really gw.local?  yes: gw.local\n"
				  "  CN=Root\n"
				  "  └─ CN=Edge CA\n"
				  "     └─ CN=gw.local\n"
				  "  ✓ name of CN=gw.local: gw.local\n"
				  "  ! thumbprint of dev1: SHA-1 (wanted: SHA-256)  THUMBPRINT_SHA1\n");
}

TEST("a refusal is printed with its cause first")
{
	OWN(verdict) v = verdict_new("hub", "Is this really dev1?", "dev1");
	CLEAR(buf) out = BUF_INIT(65536);

	verdict_pass(v, "status", "dev1", "enabled", "enabled");
	verdict_fail(v, CERT_EXPIRED, "validity", "CN=dev1", "now", "until 2026-03-01");
	verdict_print(v, &out, false);
	CHECK_STR(buf_text(&out), "✗ Is this really dev1?  no: CERT_EXPIRED\n"
				  "    cause   The certificate is past its notAfter date.\n"
				  "    at      CN=dev1\n"
				  "    wanted  now\n"
				  "    found   until 2026-03-01\n"
				  "    rule    RFC 5280 4.1.2.5\n"
				  "    to do   Renew it, and check this machine's clock.\n"
				  "  ✓ status of dev1: enabled\n"
				  "  ✗ validity of CN=dev1  CERT_EXPIRED\n");
}

TEST("a finding is printed without its question: the cause in the first line, or what acceptance means")
{
	OWN(verdict) bad = verdict_new("doctor", "Is this really gw.local?", "gw.local");
	OWN(verdict) good = verdict_new("doctor", "Is this really gw.local?", "gw.local");
	CLEAR(buf) out = BUF_INIT(65536);

	verdict_fail(bad, TLS_PLAIN_TEXT, "TLS", "", "TLS 1.2", "HTTP");
	verdict_fail(bad, NAME_MISMATCH, "name", "CN=gw", "gw.local", "gw");
	verdict_print_finding(bad, "All is well.", &out, false);
	CHECK_STR(buf_text(&out), "✗ TLS_PLAIN_TEXT: The port answers, but not in TLS.\n"
				  "    wanted  TLS 1.2\n"
				  "    found   HTTP\n"
				  "    to do   Use the server's TLS port (MQTT 8883, HTTPS 443), or switch on TLS there.\n"
				  "  ✗ TLS  TLS_PLAIN_TEXT\n"
				  "  ✗ name of CN=gw: gw (wanted: gw.local)  NAME_MISMATCH\n");
	buf_reset(&out);
	verdict_pass(good, "TLS", "", "", "TLSv1.3");
	verdict_print_finding(good, "All is well.", &out, false);
	CHECK_STR(buf_text(&out), "✓ All is well.\n  ✓ TLS: TLSv1.3\n");
}

TEST("colour is used only when it is asked for, and always ended")
{
	OWN(verdict) v = refused();
	CLEAR(buf) plain = BUF_INIT(65536);
	CLEAR(buf) colour = BUF_INIT(65536);

	verdict_print(v, &plain, false);
	verdict_print(v, &colour, true);
	CHECK(!strchr(buf_text(&plain), '\033'));
	CHECK_CONTAINS(buf_text(&colour), "\033[1;31m✗ Is this really gw.local?\033[0m");
	CHECK_CONTAINS(buf_text(&colour), "\033[32m✓\033[0m");
}

TEST("control bytes of the peer are shown, never obeyed; letters of all languages stay")
{
	OWN(verdict) v = verdict_new("hub", "Who?", "a\033[2Jb\xc2\x9b\xff\n\xc3\xa4\xe2\x82\xac");
	CLEAR(buf) out = BUF_INIT(65536);

	verdict_print(v, &out, false);
	CHECK_STR(buf_text(&out), "✓ Who?  yes: a\\x1b[2Jb\\xc2\\x9b\\xff\\x0a\xc3\xa4\xe2\x82\xac\n");
}
