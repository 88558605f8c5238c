/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/story.h"

static enum reason
asked(const char *san, const char *host)
{
	CLEAR(made) leaf = story_crooked(
		(struct crooked){ .common_name = "common.local", .extensions = { san ? "subjectAltName" : NULL, san } }, NULL);
	OWN(verdict) v = verdict_new("test", "", "");

	name_check(v, leaf.cert, host);
	return verdict_cause(v);
}

TEST("atk-29: names match exactly, in any case, with or without the root's dot, and never from the CN")
{
	static const struct {
		const char *san, *host;
		enum reason reason;
	} cases[] = {
		{ "DNS:edgegateway.local", "edgegateway.local", OK },
		{ "DNS:edgegateway.local", "EdgeGateway.LOCAL", OK },
		{ "DNS:edgegateway.local", "edgegateway.local.", OK },
		{ "DNS:edge_gateway", "edge_gateway", OK },
		{ "DNS:a.local,DNS:b.local", "b.local", OK },
		{ "DNS:edgegateway.local", "edgegateway", NAME_MISMATCH },
		{ "DNS:edgegateway.local", "x.edgegateway.local", NAME_MISMATCH },
		{ "DNS:edgegateway.local", ".local", NAME_MISMATCH },
		{ "DNS:edgegateway.local", ".edgegateway.local", NAME_MISMATCH },
		{ "DNS:edgegateway.local", "", NAME_MISMATCH },
		{ "DNS:edgegateway.local", ".", NAME_MISMATCH },
		{ NULL, "common.local", NAME_MISMATCH },
		{ "DNS:other.local", "common.local", NAME_MISMATCH },
		{ "email:edgegateway.local@x", "edgegateway.local", NAME_MISMATCH },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		if (asked(cases[i].san, cases[i].host) != cases[i].reason)
			fail_msg("%s asked for %s: not %s", cases[i].san ? cases[i].san : "no names", cases[i].host,
				reason_row(cases[i].reason)->code);
}

TEST("atk-29: a wildcard stands for one whole label on the left and for nothing else")
{
	CHECK_INT(asked("DNS:*.azure-devices.net", "hub.azure-devices.net"), OK);
	CHECK_INT(asked("DNS:*.azure-devices.net", "a.hub.azure-devices.net"), NAME_MISMATCH);
	CHECK_INT(asked("DNS:*.azure-devices.net", "azure-devices.net"), NAME_MISMATCH);
	CHECK_INT(asked("DNS:h*.azure-devices.net", "hub.azure-devices.net"), NAME_MISMATCH);
	CHECK_INT(asked("DNS:hub.*.net", "hub.azure-devices.net"), NAME_MISMATCH);
	CHECK_INT(asked("DNS:*", "hub"), NAME_MISMATCH);
	CHECK_INT(asked("DNS:*.net", "hub.net"), NAME_MISMATCH);
}

TEST("atk-29: addresses are compared as addresses, and only with addresses")
{
	CHECK_INT(asked("IP:127.0.0.1", "127.0.0.1"), OK);
	CHECK_INT(asked("IP:fd00:0:0:0:0:0:0:1", "fd00::1"), OK);
	CHECK_INT(asked("IP:127.0.0.1", "127.0.0.2"), NAME_IP_MISMATCH);
	CHECK_INT(asked("DNS:127.0.0.1", "127.0.0.1"), NAME_IP_MISMATCH);
	CHECK_INT(asked("DNS:edgegateway.local", "10.0.0.1"), NAME_IP_MISMATCH);
	CHECK_INT(asked("IP:127.0.0.1", "localhost"), NAME_MISMATCH);
}

TEST("atk-03: a NUL in a name ends nothing")
{
	CLEAR(made) leaf =
		story_crooked((struct crooked){ .common_name = "x",
				      .extensions = { "subjectAltName", "DER:3015821365646765676174657761792E6C6F63616C002E78" } },
			NULL); /* edgegateway.local\0.x */
	OWN(verdict) v = verdict_new("test", "", "");

	name_check(v, leaf.cert, "edgegateway.local");
	story_cause(v, NAME_MISMATCH);
}

TEST("the names that the certificate does have stand in the refusal, on one line")
{
	CLEAR(made) leaf = story_crooked(
		(struct crooked){ .common_name = "x", .extensions = { "subjectAltName", "DNS:a.local,IP:10.0.0.1" } }, NULL);
	CLEAR(made) nameless = story_crooked((struct crooked){ .common_name = "x" }, NULL);
	CLEAR(made) broken = story_crooked(
		(struct crooked){ .common_name = "x", .extensions = { "subjectAltName", "DER:30058203610A62" } }, NULL);
	OWN(verdict) v = verdict_new("test", "", "");
	OWN(verdict) v_nameless = verdict_new("test", "", "");
	OWN_TEXT names = cert_names(broken.cert);

	name_check(v, leaf.cert, "b.local");
	CHECK_STR(verdict_first_failure(v)->found, "DNS:a.local, IP Address:10.0.0.1");
	CHECK_STR(verdict_first_failure(v)->wanted, "b.local");
	name_check(v_nameless, nameless.cert, "b.local");
	CHECK_CONTAINS(verdict_first_failure(v_nameless)->found, "no names");
	CHECK_STR(names, "DNS:a.b");
}

TEST("mail addresses come from the SAN, too")
{
	CLEAR(made) leaf = story_crooked(
		(struct crooked){ .common_name = "x", .extensions = { "subjectAltName", "email:ops@plant.local" } }, NULL);
	OWN(verdict) right = verdict_new("test", "", "");
	OWN(verdict) wrong = verdict_new("test", "", "");

	name_check_email(right, leaf.cert, "ops@plant.local");
	name_check_email(wrong, leaf.cert, "boss@plant.local");
	CHECK(verdict_accepted(right));
	story_cause(wrong, NAME_MISMATCH);
}
