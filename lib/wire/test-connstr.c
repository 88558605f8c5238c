/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/connstr.h"

#define KEY "MDEyMzQ1Njc4OWFiY2RlZg=="

TEST("a device's connection string has host, id and key")
{
	struct err err = ERR_INIT;
	OWN(connstr) c = connstr_parse("HostName=hub.test;DeviceId=dev=1;SharedAccessKey=" KEY, &err);

	CHECK(c);
	CHECK_STR(c->host, "hub.test");
	CHECK_STR(c->device_id, "dev=1");
	CHECK_STR(c->module_id, NULL);
	CHECK(c->has_key);
	CHECK_INT(c->key.len, 16);
	CHECK_MEM(c->key.bytes, "0123456789abcdef", 16);
}

TEST("names count in any case and order, and a last semicolon or line end is overlooked")
{
	struct err err = ERR_INIT;
	OWN(connstr) c = connstr_parse("x509=TRUE;moduleid=m;DEVICEID=d;gatewayhostname=gw:8883;hostname=hub;\r\n", &err);

	CHECK(c);
	CHECK(c->x509);
	CHECK_STR(c->module_id, "m");
	CHECK_STR(c->gateway_host, "gw:8883");
}

TEST("a key may come without its padding")
{
	struct err err = ERR_INIT;
	OWN(connstr) c = connstr_parse("HostName=h;SharedAccessKeyName=owner;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg", &err);

	CHECK(c);
	CHECK_STR(c->policy, "owner");
	CHECK_INT(c->key.len, 16);
}

TEST("a ready token is kept whole, with all its equals signs")
{
	struct err err = ERR_INIT;
	OWN(connstr) c =
		connstr_parse("HostName=h;DeviceId=d;SharedAccessSignature=SharedAccessSignature sr=h&sig=YQ%3D%3D&se=1", &err);

	CHECK(c);
	CHECK_STR(c->sas_token, "SharedAccessSignature sr=h&sig=YQ%3D%3D&se=1");
}

struct refused {
	const char *text, *why;
};

TEST("what is twice, unknown, empty, contradictory or no base64 is refused by name")
{
	static const struct refused cases[] = {
		{ "", "no HostName" },
		{ "DeviceId=d", "no HostName" },
		{ "HostName=h;HostName=h", "HostName is given twice" },
		{ "HostName=h;SharedAccessKey=" KEY ";sharedaccesskey=" KEY, "SharedAccessKey is given twice" },
		{ "HostName=h;DeviceID", "not NAME=VALUE" },
		{ "HostName=h;DeviceId=", "not NAME=VALUE" },
		{ "HostName=h;;DeviceId=d", "not NAME=VALUE" },
		{ "HostName=h;DevceId=d", "has no 'DevceId'" },
		{ "HostName=h;SharedAccessKey=***", "not the base64" },
		{ "HostName=h;x509=yes", "x509 is true or false" },
		{ "HostName=h;ModuleId=m", "ModuleId without a DeviceId" },
		{ "HostName=h;DeviceId=d;x509=true;SharedAccessKey=" KEY, "more than one of" },
		{ "HostName=h;DeviceId=a\nb", "control character" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		OWN(connstr) c = connstr_parse(cases[i].text, &err);

		CHECK(!c);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
	}
}

TEST("an error never shows the key")
{
	struct err err = ERR_INIT;
	OWN(connstr) c = connstr_parse("HostName=h;SharedAccessKey=c2VjcmV0*", &err);

	CHECK(!c);
	CHECK(!strstr(err.text, "c2VjcmV0"));
}

TEST("a connection string of more than 4096 bytes is refused")
{
	OWN_TEXT text = mem_textf("HostName=%05000d", 1);
	struct err err = ERR_INIT;
	OWN(connstr) c = connstr_parse(text, &err);

	CHECK(!c);
	CHECK_ERR(err, ERR_LIMIT, "4096");
}

TEST("what was parsed is written the same way")
{
	static const char *const texts[] = {
		("HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY ";GatewayHostName=g"),
		("HostName=h;SharedAccessKeyName=owner;SharedAccessKey=" KEY),
		"HostName=h;DeviceId=d;x509=true",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct err err = ERR_INIT;
		OWN(connstr) c = connstr_parse(texts[i], &err);
		CLEAR(buf) out = BUF_INIT(4096);

		CHECK(c);
		connstr_format(&out, c);
		CHECK_STR(buf_text(&out), texts[i]);
	}
}
