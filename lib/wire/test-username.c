/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/username.h"

struct wish {
	const char *text, *host, *device, *module, *api_version;
};

TEST("user names of all SDKs, new and old, name host, device and module")
{
	static const struct wish wishes[] = {
		{ "hub/d/?api-version=2021-04-12", "hub", "d", NULL, "2021-04-12" },
		{ "hub/d/m/?api-version=2021-04-12&model-id=dtmi:a:b;1&DeviceClientType=x%2F1", "hub", "d", "m", "2021-04-12" },
		{ "hub/d/api-version=2016-11-14&DeviceClientType=x", "hub", "d", NULL, "2016-11-14" },
		{ "hub/d/m/api-version=2016-11-14", "hub", "d", "m", "2016-11-14" },
		{ "hub/d/?DeviceClientType=x&api-version=1", "hub", "d", NULL, "1" },
		{ "hub/d", "hub", "d", NULL, NULL },
		{ "hub/d/", "hub", "d", NULL, NULL },
		{ "hub/d/m", "hub", "d", "m", NULL },
		{ "hub/d/m/", "hub", "d", "m", NULL },
		{ "hub:8883/d/?", "hub:8883", "d", NULL, NULL },
	};

	for (size_t i = 0; i < COUNT(wishes); i++) {
		struct err err = ERR_INIT;
		OWN(username) u = username_parse(slice_of(wishes[i].text), &err);

		if (!u)
			fail_msg("'%s': %s", wishes[i].text, err.text);
		CHECK_STR(u->host, wishes[i].host);
		CHECK_STR(u->device_id, wishes[i].device);
		CHECK_STR(u->module_id, wishes[i].module);
		CHECK_STR(u->api_version, wishes[i].api_version);
	}
}

TEST("ids are taken literally, whatever they look like")
{
	struct err err = ERR_INIT;
	OWN(username) u = username_parse(slice_of("hub/?a%20b=c/$m=1/?api-version=1"), &err);
	OWN(username) other = username_parse(slice_of("hub/api-version=1/?api-version=2"), &err);

	CHECK(u && other);
	CHECK_STR(u->device_id, "?a%20b=c");
	CHECK_STR(u->module_id, "$m=1");
	CHECK_STR(other->device_id, "api-version=1");
	CHECK_STR(other->api_version, "2");
}

TEST("what stands in the query is decoded, and unknown parts are overlooked")
{
	struct err err = ERR_INIT;
	OWN(username) u = username_parse(slice_of("h/d/?api-version=1&x=%zz&auth-chain=d%3Bgw%3B&DeviceClientType=a%2F1&&y"), &err);

	CHECK(u);
	CHECK_STR(u->auth_chain, "d;gw;");
	CHECK_STR(u->client_type, "a/1");
	CHECK_STR(u->model_id, NULL);
}

struct refused {
	const char *text, *why;
};

TEST("what is no user name of a device is refused")
{
	static const struct refused cases[] = {
		{ "", "is not HUB/DEVICE" },
		{ "hub", "is not HUB/DEVICE" },
		{ "hub/", "is not HUB/DEVICE" },
		{ "/d/?api-version=1", "is not HUB/DEVICE" },
		{ "hub//?api-version=1", "is not HUB/DEVICE" },
		{ "hub/d/m/x", "more behind the device" },
		{ "hub/d//?api-version=1", "more behind the device" },
		{ "hub/d/m/x/?api-version=1", "more behind the device" },
		{ "hub/d/?auth-chain=a&auth-chain=b", "auth-chain twice" },
		{ "hub/d/?model-id=%zz", "model-id is not percent-encoded" },
		{ "hub/d/?model-id=%0a", "model-id is not percent-encoded" },
		{ "hub/d/?model-id=%ff", "model-id is not percent-encoded" },
		{ "hub/d\n/?api-version=1", "control characters" },
		{ "hub/\xff/?api-version=1", "not UTF-8" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		OWN(username) u = username_parse(slice_of(cases[i].text), &err);

		if (u)
			fail_msg("accepted '%s'", cases[i].text);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
	}
}

TEST("a user name of more than 4096 bytes is refused")
{
	OWN_TEXT text = mem_textf("hub/%05000d", 1);
	struct err err = ERR_INIT;

	CHECK(!username_parse(slice_of(text), &err));
	CHECK_ERR(err, ERR_LIMIT, "4096");
}
