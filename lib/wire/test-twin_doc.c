/* SPDX-License-Identifier: Apache-2.0 */
/* Twins as documents: merging, replacing, limits, views. */
#include "base/buf.h"
#include "base/mem.h"
#include "wire/twin_doc.h"
#include "t.h"
#include "wire/json.h"

#define NOW_MS 1772323200000 /* 2026-03-01 */

static json_t *
parsed(const char *text)
{
	struct err err = ERR_INIT;
	json_t *json = json_parse(text, strlen(text), &err);

	if (!json)
		fail_msg("%s", err.text);
	return json;
}

static int
desire(struct twin *twin, const char *text, bool replace, struct err *err)
{
	OWN_LIB(json_t) patch = parsed(text);

	return twin_apply(twin, &(struct twin_change){ .desired = patch, .replace = replace }, NOW_MS, err);
}

static void
check_json(json_t *got, const char *want_text)
{
	OWN_LIB(json_t) want = parsed(want_text);
	OWN_TEXT shown = json_line(got);

	if (!json_equal(got, want))
		fail_msg("got %s, not %s", shown, want_text);
}

static void
check_desired(const struct twin *twin, const char *want)
{
	check_json(twin->desired.values, want);
}

TEST("a merge keeps what it does not name, deletes at a null and replaces arrays whole")
{
	OWN(twin) twin = twin_new();
	struct err err = ERR_INIT;

	CHECK_INT(desire(twin, "{\"a\":{\"b\":1,\"c\":[1,2,3]},\"d\":\"x\"}", false, &err), 0);
	CHECK_INT(desire(twin, "{\"a\":{\"b\":null,\"c\":[4],\"e\":true},\"gone\":null}", false, &err), 0);
	check_desired(twin, "{\"a\":{\"c\":[4],\"e\":true},\"d\":\"x\"}");
	CHECK_INT(twin->desired.version, 3);
	CHECK_INT(twin->reported.version, 1);
	CHECK_INT(twin->version, 3);
}

TEST("nulls inside an object that is new leave nothing behind, and an object takes the place of a value")
{
	OWN(twin) twin = twin_new();
	struct err err = ERR_INIT;

	CHECK_INT(desire(twin, "{\"a\":{\"b\":{\"c\":null}},\"v\":5}", false, &err), 0);
	CHECK_INT(desire(twin, "{\"v\":{\"now\":\"object\",\"x\":null}}", false, &err), 0);
	check_desired(twin, "{\"a\":{\"b\":{}},\"v\":{\"now\":\"object\"}}");
	CHECK_INT(desire(twin, "{\"v\":7}", false, &err), 0);
	check_desired(twin, "{\"a\":{\"b\":{}},\"v\":7}");
}

TEST("replacing leaves only what is new, and the device hears null for what is gone")
{
	OWN(twin) before = twin_new();
	OWN(twin) after = NULL;
	OWN_LIB(json_t) wanted = parsed("{\"keep\":1,\"o\":{\"y\":3},\"$version\":99,\"$metadata\":{\"x\":1}}");
	struct twin_change change = { .desired = wanted, .replace = true };
	struct err err = ERR_INIT;
	OWN_LIB(json_t) news = NULL;

	CHECK_INT(desire(before, "{\"keep\":1,\"drop\":2,\"o\":{\"x\":1,\"y\":2}}", false, &err), 0);
	after = twin_copy(before);
	CHECK_INT(twin_apply(after, &change, NOW_MS, &err), 0);
	check_desired(after, "{\"keep\":1,\"o\":{\"y\":3}}");
	check_desired(before, "{\"keep\":1,\"drop\":2,\"o\":{\"x\":1,\"y\":2}}");
	news = twin_desired_news(before, after, &change);
	check_json(news, "{\"drop\":null,\"o\":{\"x\":null,\"y\":3},\"$version\":3}");
}

TEST("after a merge the device hears what was written, also where it was so before")
{
	OWN(twin) before = twin_new();
	OWN(twin) after = NULL;
	OWN_LIB(json_t) patch = parsed("{\"a\":1,\"b\":null,\"$version\":7}");
	struct twin_change change = { .desired = patch };
	struct err err = ERR_INIT;
	OWN_LIB(json_t) news = NULL;

	CHECK_INT(desire(before, "{\"a\":1,\"b\":2}", false, &err), 0);
	after = twin_copy(before);
	CHECK_INT(twin_apply(after, &change, NOW_MS, &err), 0);
	news = twin_desired_news(before, after, &change);
	check_json(news, "{\"a\":1,\"b\":null,\"$version\":3}");
}

TEST("JSON null empties a section")
{
	OWN(twin) before = twin_new();
	OWN(twin) after = NULL;
	OWN_LIB(json_t) null = json_null();
	struct twin_change change = { .desired = null, .tags = null };
	struct err err = ERR_INIT;
	OWN_LIB(json_t) news = NULL;

	CHECK_INT(desire(before, "{\"a\":1}", false, &err), 0);
	after = twin_copy(before);
	CHECK_INT(twin_apply(after, &change, NOW_MS, &err), 0);
	check_desired(after, "{}");
	news = twin_desired_news(before, after, &change);
	check_json(news, "{\"a\":null,\"$version\":3}");
}

TEST("the metadata mirrors the values: who was written last, and at which version")
{
	OWN(twin) twin = twin_new();
	struct err err = ERR_INIT;

	check_json(twin->desired.meta, "{\"$lastUpdated\":\"0001-01-01T00:00:00Z\"}");
	CHECK_INT(desire(twin, "{\"o\":{\"a\":1,\"b\":2},\"l\":[1]}", false, &err), 0);
	CHECK_INT(desire(twin, "{\"o\":{\"a\":3,\"b\":null}}", false, &err), 0);
#define AT(version) "\"$lastUpdated\":\"2026-03-01T00:00:00.000Z\",\"$lastUpdatedVersion\":" version
	check_json(twin->desired.meta, "{" AT("3") ",\"o\":{" AT("3") ",\"a\":{" AT("3") "}},\"l\":{" AT("2") "}}");
	CHECK_INT(desire(twin, "{\"o\":5}", false, &err), 0);
	check_json(twin->desired.meta, "{" AT("4") ",\"o\":{" AT("4") "},\"l\":{" AT("2") "}}");
}

TEST("names with a dot, a dollar sign, a space or a control character are refused, wherever they stand")
{
	static const char *const bad[] = { "{\"a.b\":1}", "{\"$a\":1}", "{\"a b\":1}", "{\"a\\u0001\":1}", "{\"a\\u0085\":1}",
		"{\"a\":{\"b\":{\"$version\":1}}}", "{\"a\":[{\"x.y\":1}]}", "{\"a.b\":null}" };

	for (size_t i = 0; i < COUNT(bad); i++) {
		OWN(twin) twin = twin_new();
		struct err err = ERR_INIT;

		CHECK_INT(desire(twin, bad[i], false, &err), -1);
		CHECK_ERR(err, ERR_INVALID, "desired properties: the name");
	}
}

TEST("ten levels are enough: the eleventh is refused, in arrays as well")
{
	OWN(twin) twin = twin_new();
	struct err err = ERR_INIT;

	CHECK_INT(desire(twin, "{\"1\":{\"2\":{\"3\":{\"4\":{\"5\":{\"6\":{\"7\":{\"8\":{\"9\":{\"10\":{\"p\":1}}}}}}}}}}}", false,
			  &err),
		0);
	CHECK_INT(desire(twin, "{\"a\":[[[[[[[[[[1]]]]]]]]]]}", false, &err), 0);
	CHECK_INT(desire(twin, "{\"1\":{\"2\":{\"3\":{\"4\":{\"5\":{\"6\":{\"7\":{\"8\":{\"9\":{\"10\":{\"11\":{}}}}}}}}}}}}",
			  false, &err),
		-1);
	CHECK_ERR(err, ERR_INVALID, "deeper than 10");
	CHECK_INT(desire(twin, "{\"a\":[[[[[[[[[[[1]]]]]]]]]]]}", false, &err), -1);
}

TEST("integers, texts and names have their limits")
{
	OWN(twin) twin = twin_new();
	OWN_TEXT long_text = mem_new(TWIN_STRING_MAX + 2);
	OWN_TEXT long_key = mem_new(TWIN_KEY_MAX + 2);
	OWN_TEXT too_long = NULL;
	OWN_TEXT key_too_long = NULL;
	struct err err = ERR_INIT;

	memset(long_text, 'x', TWIN_STRING_MAX + 1);
	memset(long_key, 'k', TWIN_KEY_MAX + 1);
	too_long = mem_textf("{\"a\":\"%s\"}", long_text);
	key_too_long = mem_textf("{\"%s\":1}", long_key);
	CHECK_INT(desire(twin, "{\"a\":4503599627370496,\"b\":-4503599627370496,\"c\":1e300}", false, &err), 0);
	CHECK_INT(desire(twin, "{\"a\":4503599627370497}", false, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "4503599627370497 is beyond");
	CHECK_INT(desire(twin, "{\"a\":-4503599627370497}", false, &err), -1);
	CHECK_INT(desire(twin, too_long, false, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "a text has 4097 bytes");
	CHECK_INT(desire(twin, key_too_long, false, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "a name has 1025 bytes");
}

/* A member of 1000 characters: a name of four and a text of 996. */
static int
desire_1000(struct twin *twin, int i, struct err *err)
{
	OWN_TEXT text = mem_textf("{\"k%03d\":\"%0996d\"}", i, 0);

	return desire(twin, text, false, err);
}

TEST("a section is too big as a whole, not one change of it; deleting makes room")
{
	OWN(twin) twin = twin_new();
	OWN(twin) full = NULL;
	struct err err = ERR_INIT;
	int n = 0;

	for (; n < TWIN_PROPERTIES_MAX / 1000; n++)
		CHECK_INT(desire_1000(twin, n, &err), 0);
	full = twin_copy(twin);
	CHECK_INT(desire_1000(twin, n, &err), -1);
	CHECK_ERR(err, ERR_LIMIT, "desired properties: it would have a size of 33000; at most 32768");
	CHECK_INT(desire(full, "{\"k000\":null}", false, &err), 0);
	CHECK_INT(desire_1000(full, n, &err), 0);
}

TEST("a size counts characters, not bytes; numbers are 8, booleans 4; a list of nothing is not free")
{
	OWN(twin) twin = twin_new();
	CLEAR(buf) list = BUF_INIT(100000);
	struct err err = ERR_INIT;
	OWN_LIB(json_t) tags = json_object();

	/* 8 KB: 818 members of a name of two and a number of eight, and 12 characters of two bytes. */
	for (int i = 0; i < 818; i++) {
		char key[8];

		snprintf(key, sizeof(key), "%c%c", 'A' + i / 26, 'a' + i % 26);
		json_object_set_new(tags, key, json_integer(i));
	}
	json_object_set_new(tags, "zz", json_string("üüüüüüüüüü"));
	CHECK_INT(twin_apply(twin, &(struct twin_change){ .tags = tags }, NOW_MS, &err), 0);
	json_object_set_new(tags, "zz", json_string("üüüüüüüüüüü"));
	CHECK_INT(twin_apply(twin, &(struct twin_change){ .tags = tags }, NOW_MS, &err), -1);
	CHECK_ERR(err, ERR_LIMIT, "tags: it would have a size of 8193");
	buf_puts(&list, "{\"a\":[[]");
	for (int i = 0; i < TWIN_PROPERTIES_MAX / 2; i++)
		buf_puts(&list, ",[]");
	buf_puts(&list, "]}");
	CHECK_INT(desire(twin, buf_text(&list), false, &err), -1);
	CHECK_ERR(err, ERR_LIMIT, "desired properties");
}

TEST("a section that is no object is refused")
{
	static const char *const bad[] = { "[]", "5", "\"x\"", "true" };

	for (size_t i = 0; i < COUNT(bad); i++) {
		OWN(twin) twin = twin_new();
		struct err err = ERR_INIT;

		CHECK_INT(desire(twin, bad[i], false, &err), -1);
		CHECK_ERR(err, ERR_INVALID, "not a JSON object");
	}
}

TEST("the device sees values and versions of both sections, and neither tags nor metadata")
{
	OWN(twin) twin = twin_new();
	OWN_LIB(json_t) all = parsed("{\"x\":1}");
	struct err err = ERR_INIT;
	OWN_LIB(json_t) view = NULL;

	CHECK_INT(twin_apply(twin, &(struct twin_change){ .tags = all, .desired = all, .reported = all }, NOW_MS, &err), 0);
	view = twin_device_view(twin);
	check_json(view, "{\"desired\":{\"x\":1,\"$version\":2},\"reported\":{\"x\":1,\"$version\":2}}");
}

TEST("a service sees the whole twin and what the record says, but no keys")
{
	OWN(twin) twin = twin_new();
	OWN_LIB(json_t) record =
		parsed("{\"deviceId\":\"d\",\"etag\":\"E\",\"status\":\"disabled\",\"statusReason\":null,"
		       "\"statusUpdatedTime\":\"T\",\"connectionState\":\"Connected\",\"lastActivityTime\":\"L\","
		       "\"cloudToDeviceMessageCount\":2,\"capabilities\":{\"iotEdge\":true},\"deviceScope\":\"s\","
		       "\"parentScopes\":[\"p\"],\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":"
		       "\"K\"},\"x509Thumbprint\":{\"primaryThumbprint\":null}}}");
	OWN_LIB(json_t) view = NULL;

	twin->model_id = mem_text("dtmi:a;1");
	view = twin_service_view(twin, record);
	check_json(view,
		"{\"deviceId\":\"d\",\"etag\":\"AAAAAAAAAAE=\",\"deviceEtag\":\"E\",\"status\":\"disabled\",\"statusReason\":"
		"null,\"statusUpdateTime\":\"T\",\"connectionState\":\"Connected\",\"lastActivityTime\":\"L\","
		"\"cloudToDeviceMessageCount\":2,\"authenticationType\":\"sas\",\"x509Thumbprint\":{\"primaryThumbprint\":"
		"null},\"modelId\":\"dtmi:a;1\",\"version\":1,\"tags\":{},\"capabilities\":{\"iotEdge\":true},"
		"\"deviceScope\":\"s\",\"parentScopes\":[\"p\"],\"properties\":{"
		"\"desired\":{\"$metadata\":{\"$lastUpdated\":\"0001-01-01T00:00:00Z\"},\"$version\":1},"
		"\"reported\":{\"$metadata\":{\"$lastUpdated\":\"0001-01-01T00:00:00Z\"},\"$version\":1}}}");
}
