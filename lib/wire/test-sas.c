/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/text.h"
#include "t.h"
#include "wire/sas.h"

/* Signed elsewhere, by the same key over each spelling of the resource. */
#define KEY "0123456789abcdef0123456789abcdef"
#define SIG "o4M7%2B1PqLh%2Fj07jSpze6VaRS%2FhVbZyDJBeCwLW247b8%3D"
#define TOKEN "SharedAccessSignature sr=hub.test%2Fdevices%2Fdev1&sig=" SIG "&se=1900000000"
#define TOKEN_LOWER                                                                                                                \
	"SharedAccessSignature sr=hub.test%2fdevices%2fdev1&sig=In5NCbQQ%2F3Ed8hQLfSAsNcl5v0Ba5Tr15i2b0WRcmSo%3D&se=1900000000"
#define TOKEN_RAW "SharedAccessSignature sr=hub.test/devices/dev1&sig=AkMJzZ0M4p6hX/iibCuWiMGgHI04uFvjx/aDNWQEMSg=&se=1900000000"

static struct secret
key_of(const char *text)
{
	struct secret key = { 0 };

	secret_set(&key, text, strlen(text));
	return key;
}

TEST("a token is taken apart: resource as written and decoded, expiry, policy")
{
	struct err err = ERR_INIT;
	OWN(sas_token) t =
		sas_parse("sharedaccesssignature skn=o%20p&se=1900000000&sig=" SIG "&sr=HUB.Test%2fDevices%2FDev1", &err);

	CHECK(t);
	CHECK_STR(t->resource_text, "HUB.Test%2fDevices%2FDev1");
	CHECK_STR(t->resource, "hub.test/Devices/Dev1");
	CHECK_STR(t->policy, "o p");
	CHECK_INT(t->expiry, 1900000000);
}

TEST("the signature covers the resource as it stands, in every encoding that is in use")
{
	static const char *const tokens[] = { TOKEN, TOKEN_LOWER, TOKEN_RAW };
	struct secret key = key_of(KEY);

	for (size_t i = 0; i < COUNT(tokens); i++) {
		struct err err = ERR_INIT;
		OWN(sas_token) t = sas_parse(tokens[i], &err);

		CHECK(t);
		CHECK_STR(t->resource, "hub.test/devices/dev1");
		CHECK(sas_signature_matches(t, &key));
	}
}

TEST("atk-11 a signature over another spelling, by another key or by no key does not match")
{
	struct err err = ERR_INIT;
	OWN(sas_token) good = sas_parse(TOKEN, &err);
	OWN(sas_token) respelled = sas_parse("SharedAccessSignature sr=hub.test/devices/dev1&sig=" SIG "&se=1900000000", &err);
	OWN(sas_token) later = sas_parse("SharedAccessSignature sr=hub.test%2Fdevices%2Fdev1&sig=" SIG "&se=1900000001", &err);
	struct secret key = key_of(KEY), other = key_of("0123456789abcdef0123456789abcdeF"), none = { 0 };

	CHECK(good && respelled && later);
	CHECK(!sas_signature_matches(respelled, &key));
	CHECK(!sas_signature_matches(later, &key));
	CHECK(!sas_signature_matches(good, &other));
	CHECK(!sas_signature_matches(good, &none));
}

struct refused {
	const char *text, *why;
};

#define SR "SharedAccessSignature sr=h/devices/d"
TEST("atk-11 there is one parse: forged, doubled and incomplete tokens are refused")
{
	static const struct refused cases[] = {
		{ "", "does not begin" },
		{ "SharedAccessSignature", "does not begin" },
		{ "Bearer sr=h&sig=" SIG "&se=1", "does not begin" },
		{ "SharedAccessSignature ", "not NAME=VALUE" },
		{ SR "&sig=" SIG, "has no se" },
		{ SR "&se=1900000000", "has no sig" },
		{ "SharedAccessSignature sig=" SIG "&se=1900000000", "has no sr" },
		{ SR "&sig=" SIG "&se=", "has no se" },
		{ SR "&sig=" SIG "&se=1900000000&se=1900000000", "has se twice" },
		{ SR "&sig=" SIG "&sig=" SIG "&se=1900000000", "has sig twice" },
		{ SR "&sr=h&sig=" SIG "&se=1900000000", "has sr twice" },
		{ SR "&sig=" SIG "&se=1900000000&", "not NAME=VALUE" },
		{ SR "&sig=" SIG "&se=1900000000&x=1", "none of sr, sig, se, skn" },
		{ SR "&SIG=" SIG "&se=1900000000", "none of sr, sig, se, skn" },
		{ SR "&sig=" SIG "&se=-1", "plain number" },
		{ SR "&sig=" SIG "&se=+1", "plain number" },
		{ SR "&sig=" SIG "&se=0", "plain number" },
		{ SR "&sig=" SIG "&se=01900000000", "plain number" },
		{ SR "&sig=" SIG "&se= 1900000000", "plain number" },
		{ SR "&sig=" SIG "&se=1900000000.5", "plain number" },
		{ SR "&sig=" SIG "&se=0x71fa1f00", "plain number" },
		{ SR "&sig=" SIG "&se=1e9", "plain number" },
		{ SR "&sig=" SIG "&se=1000000000000000000000000000000", "plain number" },
		{ SR "&sig=" SIG "&se=253402300800", "plain number" },
		{ SR "&sig=AkMJzZ0M4p6hX/iibCuWiMGgHI04uFvjx/aDNWQEMSg&se=1900000000", "32 bytes" },
		{ SR "&sig=AkMJzZ0M4p6hX/iibCuWiMGgHI04uFvjx/aDNWQEMSh=&se=1900000000", "32 bytes" },
		{ SR "&sig=YWJj&se=1900000000", "32 bytes" },
		{ SR "&sig=%zz&se=1900000000", "32 bytes" },
		{ "SharedAccessSignature sr=h%2&sig=" SIG "&se=1900000000", "sr is not" },
		{ "SharedAccessSignature sr=h%00/devices/d&sig=" SIG "&se=1900000000", "sr is not" },
		{ "SharedAccessSignature sr=h%0a&sig=" SIG "&se=1900000000", "sr is not" },
		{ "SharedAccessSignature sr=h%ff&sig=" SIG "&se=1900000000", "sr is not" },
		{ SR "&sig=" SIG "&se=1900000000&skn=%0", "skn is not" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		OWN(sas_token) t = sas_parse(cases[i].text, &err);

		if (t)
			fail_msg("accepted '%s'", cases[i].text);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
	}
}

TEST("a token of more than 4096 bytes is refused")
{
	OWN_TEXT text = mem_textf("SharedAccessSignature sr=%05000d", 1);
	struct err err = ERR_INIT;

	CHECK(!sas_parse(text, &err));
	CHECK_ERR(err, ERR_LIMIT, "4096");
}

struct cover {
	const char *resource, *path;
	bool covers;
};

static bool
is_other(void *arg, const char *host)
{
	(void)arg;
	return text_is(host, "other") || text_is(host, "2001:db8::7");
}

TEST("atk-11 a resource covers itself and what is below it, by whole segments")
{
	static const struct cover cases[] = {
		{ "hub", "devices/dev1", true },
		{ "hub/", "devices/dev1", true },
		{ "hub/devices", "devices/dev1", true },
		{ "HUB/devices/dev1", "devices/dev1", true },
		{ "hub:8883/devices/dev1", "devices/dev1", true },
		{ "other/devices/dev1", "devices/dev1", true },
		{ "another/devices/dev1", "devices/dev1", false },
		{ "[2001:db8::7]:8883/devices/dev1", "devices/dev1", true },
		{ "[2001:db8::7]/devices/dev1", "devices/dev1", true },
		{ "2001:db8::7/devices/dev1", "devices/dev1", true },
		{ "[/devices/dev1", "devices/dev1", false },
		{ "hub/devices/dev1", "devices/dev1/modules/m", true },
		{ "hub/devices/dev1/modules/m", "devices/dev1/modules/m", true },
		{ "hub/devices/dev1/modules/m", "devices/dev1", false },
		{ "hub/devices/dev1", "devices/dev10", false },
		{ "hub/devices/dev10", "devices/dev1", false },
		{ "hub/devices/Dev1", "devices/dev1", false },
		{ "hub/Devices/dev1", "devices/dev1", false },
		{ "hub2/devices/dev1", "devices/dev1", false },
		{ "hub:x/devices/dev1", "devices/dev1", false },
		{ "/devices/dev1", "devices/dev1", false },
		{ "devices/dev1", "devices/dev1", false },
		{ "hub//devices/dev1", "devices/dev1", false },
		{ "hub/devices/dev1/", "devices/dev1", false },
		{ "hub/devices/dev1/../dev2", "devices/dev2", false },
		{ "hub/devices/dev1/api-version=2016-11-14", "devices/dev1", true },
		{ "hub/devices/dev1/modules/m/api-version=2016-11-14", "devices/dev1/modules/m", true },
		{ "hub/api-version=2016-11-14", "devices/dev1", true },
		{ "hub/devices/api-version=x", "devices/dev1", false },
		{ "hub/devices/api-version=x", "devices/api-version=x", true },
		{ "hub/devices/dev1/modules/api-version=x", "devices/dev1/modules/m", false },
		{ "hub/devices/dev1/api-version=x/modules/m", "devices/dev1", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		OWN_TEXT text = mem_textf("SharedAccessSignature sr=%s&sig=%s&se=1900000000", cases[i].resource, SIG);
		struct sas_audience audience = { .host = "hub", .is_own_name = is_other };
		struct err err = ERR_INIT;
		OWN(sas_token) t = sas_parse(text, &err);

		CHECK(t);
		if (sas_resource_covers(t, &audience, cases[i].path) != cases[i].covers)
			fail_msg("'%s' %s '%s'", cases[i].resource, cases[i].covers ? "does not cover" : "covers", cases[i].path);
	}
}

TEST("where ids count in any case a resource covers them, by whole segments as before")
{
	static const struct cover cases[] = {
		{ "hub/Devices/DEV1", "devices/dev1", true },
		{ "hub/devices/DEV1/Modules/M", "devices/dev1/modules/m", true },
		{ "hub/devices/DEV1", "devices/dev1/modules/m", true },
		{ "hub/devices/DEV1", "devices/dev10", false },
		{ "hub/devices/DEV10", "devices/dev1", false },
	};
	static const struct sas_audience audience = { .host = "hub", .ids_in_any_case = true };

	for (size_t i = 0; i < COUNT(cases); i++) {
		OWN_TEXT text = mem_textf("SharedAccessSignature sr=%s&sig=%s&se=1900000000", cases[i].resource, SIG);
		struct err err = ERR_INIT;
		OWN(sas_token) t = sas_parse(text, &err);

		CHECK(t);
		if (sas_resource_covers(t, &audience, cases[i].path) != cases[i].covers)
			fail_msg("'%s' %s '%s'", cases[i].resource, cases[i].covers ? "does not cover" : "covers", cases[i].path);
	}
}

TEST("a token that was signed here is read and matches")
{
	struct secret key = key_of(KEY);
	CLEAR(buf) text = BUF_INIT(4096);
	struct err err = ERR_INIT;
	OWN(sas_token) t = NULL;

	sas_sign(&text, "hub.test/devices/dev1", 1900000000, NULL, &key);
	CHECK_STR(buf_text(&text), TOKEN);
	buf_reset(&text);
	sas_sign(&text, "hub.test/devices/d!'()*%/modules/$m", 1900000000, "an owner", &key);
	t = sas_parse(buf_text(&text), &err);
	CHECK(t);
	CHECK(sas_signature_matches(t, &key));
	CHECK_STR(t->resource, "hub.test/devices/d!'()*%/modules/$m");
	CHECK_STR(t->policy, "an owner");
}

TEST("a token for a resource that does not fit is not cut but fails")
{
	OWN_TEXT resource = mem_textf("hub/%05000d", 1);
	struct secret key = key_of(KEY);
	CLEAR(buf) text = BUF_INIT(8192);

	sas_sign(&text, resource, 1900000000, NULL, &key);
	CHECK(text.failed);
	CHECK_INT(text.len, 0);
}
