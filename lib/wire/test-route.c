/* SPDX-License-Identifier: Apache-2.0 */
/* Routes: which are understood, which are refused and where, what they take. */
#include "base/buf.h"
#include "base/mem.h"
#include "t.h"
#include "wire/query.h"
#include "wire/route.h"

static const char warm[] = "{\"machine\":{\"temperature\":31.5,\"name\":\"kiln\"},\"tags\":[1,{\"deep\":true}],\"none\":null}";

/* A module's message with everything that a condition may ask for. */
static const struct route_message of_module = {
	.device_id = { "edge", 4 },
	.module_id = { "sensor", 6 },
	.is_own = true,
	.bag = { "%24.on=hot&%24.ct=application%2Fjson&%24.ce=utf-8&%24.mid=m1&level=high&alert=true&count=12&a.b=dotted&sp%20ace="
		 "1",
		113 },
	.payload = { warm, sizeof(warm) - 1 },
	.enqueued_ms = 1790000000000,
};
static const struct route_message of_leaf = { .device_id = { "leaf", 4 }, .bag = { "level=low", 9 }, .payload = { "x", 1 } };
static const struct route_message of_leaf_module = {
	.device_id = { "leaf", 4 }, .module_id = { "sensor", 6 }, .payload = { "x", 1 }
};
static const struct route_message of_twin = {
	.device_id = { "leaf", 4 },
	.is_twin_change = true,
	.payload = { "{\"reported\":{\"rate\":5}}", 23 },
};

static bool
takes(const char *text, const struct route_message *message)
{
	struct err err = ERR_INIT;
	OWN(route) route = route_parse(text, &err);
	struct route_view view;
	bool taken;

	if (!route)
		fail_msg("%s: %s", text, err.text);
	route_view_init(&view, message);
	taken = route_takes(route, &view);
	route_view_clear(&view);
	return taken;
}

static void
check_conditions(const char *const *conditions, size_t n, const struct route_message *message, bool wanted)
{
	for (size_t i = 0; i < n; i++) {
		OWN_TEXT text = mem_textf("FROM /* WHERE %s INTO $upstream", conditions[i]);

		if (takes(text, message) != wanted)
			fail_msg("%s: is %s taken", conditions[i], wanted ? "not" : "");
	}
}

TEST("a source takes every message whose own source it begins, part by part")
{
	static const struct {
		const char *source;
		bool module, leaf, leaf_module, twin;
	} rows[] = {
		{ "/", true, true, true, true },
		{ "/*", true, true, true, true },
		{ "/messages", true, true, true, false },
		{ "/messages/*", true, true, true, false },
		{ "/MESSAGES/*", true, true, true, false },
		{ "/messages/events/", false, true, true, false },
		{ "/messages/modules/*", true, false, false, false },
		{ "/messages/modules/sensor", true, false, false, false },
		{ "/messages/modules/Sensor", false, false, false, false },
		{ "/messages/modules/sensor/outputs/*", true, false, false, false },
		{ "/messages/modules/sensor/outputs/hot", true, false, false, false },
		{ "/messages/modules/sensor/outputs/ho", false, false, false, false },
		{ "/messages/modules/sensor/outputs", true, false, false, false },
		{ "/twinChangeNotifications", false, false, false, true },
		{ "/twinchangenotifications/*", false, false, false, true },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN_TEXT text = mem_textf("FROM %s INTO $upstream", rows[i].source);

		CHECK_INT(takes(text, &of_module), rows[i].module);
		CHECK_INT(takes(text, &of_leaf), rows[i].leaf);
		CHECK_INT(takes(text, &of_leaf_module), rows[i].leaf_module);
		CHECK_INT(takes(text, &of_twin), rows[i].twin);
	}
}

TEST("a message without an output is of its module, and of no output of it")
{
	struct route_message plain = of_module;

	plain.bag = (struct slice){ "level=high", 10 };
	CHECK(takes("FROM /messages/modules/sensor INTO $upstream", &plain));
	CHECK(!takes("FROM /messages/modules/sensor/outputs/* INTO $upstream", &plain));
}

TEST("conditions that are true of a message take it")
{
	static const char *const conditions[] = {
		"true",
		"level = 'high'",
		"LEVEL = \"high\" and not (level = 'low')",
		"a.b = 'dotted'",
		"[[sp ace]] = '1'",
		"as_number(count) > 11 AND as_number(count) % 5 = 2",
		"level || '-' || alert = 'high-true'",
		"(missing ?? level) = 'high'",
		"(missing ?? other ?? 'x') = 'x'",
		"$contentType = 'application/json' AND $outputName = 'hot' AND $messageId = 'm1'",
		"$connectionDeviceId = 'edge' AND {$connectionModuleId} = 'sensor'",
		"IS_DEFINED($connectionModuleId) AND NOT IS_DEFINED($correlationId)",
		"$enqueuedTime > '2026-'",
		"$body.machine.temperature > 30",
		"$BODY.machine.temperature >= 31.5 AND $body.machine.name = 'kiln'",
		"$body.tags[0] = 1 AND $body.tags[1].deep",
		"is_null($body.none) AND is_number($body.machine.temperature) AND is_string(level) AND is_bool($body.tags[1].deep)",
		"$body.machine.temperature + 0.5 = 32 AND -$body.tags[0] < 0",
		"length(level) = 4 AND contains(level, 'ig') AND starts_with(level, 'hi') AND ends_with(level, 'gh')",
		"upper(level) = 'HIGH' AND lower('X') = 'x' AND substring(level, 1, 2) = 'ig' AND index_of(level, 'g') = 2",
		"concat(level, '-', alert) = 'high-true'",
		"abs(-1) = 1 AND ceiling(1.2) = 2 AND exp(0) = 1 AND floor(1.8) = 1 AND power(2, 3) = 8 AND sign(-4) = -1",
		"sqrt(9) = 3 AND square(3) = 9 AND 0x10 = 16 AND 7 / 2 = 3.5 AND 1 <> 2 AND 1 != 2 AND 1 <= 1",
	};

	check_conditions(conditions, COUNT(conditions), &of_module, true);
}

TEST("what is not true takes nothing: false, undefined, a property that is not there")
{
	static const char *const conditions[] = {
		"false",
		"level = 'HIGH'",
		"missing = 'x'",
		"missing != 'x'",
		"NOT missing = 'x'",
		"true AND missing = 'x'",
		"as_number(level) > 0",
		"$body.machine",
		"$body.missing > 1 OR $body.missing <= 1",
		"$body.machine.name > 5",
		"$body.tags[7] = 1",
		"$systemless = 'x'",
		"$body.missing",
		"missing = undefined OR undefined",
		"$body.missing ?? null",
		"NOT null",
	};

	check_conditions(conditions, COUNT(conditions), &of_module, false);
}

TEST("a body is looked into only where the message says that it is JSON and how it is written")
{
	static const char utf16[] = "{\0\"\0t\0\"\0:\0\"\0\x3d\xd8\x0a\xde\"\0}\0";
	static const char utf16_big[] = "\xfe\xff\0{\0\"\0t\0\"\0:\0\"\xd8\x3d\xde\x0a\0\"\0}";
	static const char utf32[] = "{\0\0\0\"\0\0\0t\0\0\0\"\0\0\0:\0\0\0\"\0\0\0\x0a\xf6\x01\0\"\0\0\0}\0\0\0";
	static const struct {
		const char *bag, *payload;
		size_t len;
		bool wanted;
	} rows[] = {
		{ "%24.ct=application%2Fjson&%24.ce=utf-8", "{\"t\":\"\xf0\x9f\x98\x8a\"}", 12, true },
		{ "%24.ct=Application%2FJSON&%24.ce=UTF-8", "\xef\xbb\xbf{\"t\":\"\xf0\x9f\x98\x8a\"}", 15, true },
		{ "%24.ct=application%2Fjson&%24.ce=utf-16", utf16, sizeof(utf16) - 1, true },
		{ "%24.ct=application%2Fjson&%24.ce=utf-16", utf16_big, sizeof(utf16_big) - 1, true },
		{ "%24.ct=application%2Fjson&%24.ce=utf-32", utf32, sizeof(utf32) - 1, true },
		{ "%24.ct=application%2Fjson&%24.ce=utf-16", utf16, sizeof(utf16) - 2, false },
		{ "%24.ct=application%2Fjson&%24.ce=utf-32", utf16, sizeof(utf16) - 1, false },
		{ "%24.ct=application%2Fjson&%24.ce=latin-1", "{\"t\":\"x\"}", 9, false },
		{ "%24.ct=application%2Fjson", "{\"t\":\"\xf0\x9f\x98\x8a\"}", 12, false },
		{ "%24.ce=utf-8", "{\"t\":\"\xf0\x9f\x98\x8a\"}", 12, false },
		{ "%24.ct=text%2Fplain&%24.ce=utf-8", "{\"t\":\"\xf0\x9f\x98\x8a\"}", 12, false },
		{ "%24.ct=application%2Fjson&%24.ce=utf-8", "{\"t\":", 5, false },
		{ "%24.ct=application%2Fjson&%24.ce=utf-8", "", 0, false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct route_message message = { .device_id = { "d", 1 }, .payload = { rows[i].payload, rows[i].len } };

		message.bag = slice_of(rows[i].bag);
		if (takes("FROM /* WHERE $body.t = '\\ud83d\\ude0a' INTO $upstream", &message) != rows[i].wanted)
			fail_msg("row %zu", i);
	}
}

TEST("a message cannot say that it is another device's")
{
	static const char *const lies[] = { "$connectionDeviceId = 'leaf'", "$CONNECTIONDEVICEID = 'leaf'",
		"{$connectionDeviceId} = 'leaf'", "NOT IS_DEFINED($connectionModuleId)" };
	static const char *const bags[] = { "%24connectionDeviceId=edge", "%24CONNECTIONDEVICEID=edge",
		"%7B%24connectionDeviceId=edge", "%24connectionModuleId=m&%24.cdid=edge&%24.cmid=m" };

	for (size_t i = 0; i < COUNT(bags); i++) {
		struct route_message message = of_leaf;

		message.bag = slice_of(bags[i]);
		check_conditions(lies, COUNT(lies), &message, true);
	}
}

TEST("a property goes before the system property of its name, and braces mean the system's")
{
	struct route_message message = of_leaf;

	message.bag = slice_of("%24contentType=mine&%24.ct=text");
	CHECK(takes("FROM /* WHERE $contentType = 'mine' AND {$contentType} = 'text' INTO $upstream", &message));
	message.bag = slice_of("%24.ct=text&%24contentType=mine");
	CHECK(takes("FROM /* WHERE $contentType = 'mine' AND {$contentType} = 'text' INTO $upstream", &message));
}

TEST("a twin's change is asked for what it includes")
{
	CHECK(takes("FROM /twinChangeNotifications WHERE twin_change_includes(reported.rate) INTO $upstream", &of_twin));
	CHECK(takes("FROM /* WHERE $body.reported.rate = 5 INTO $upstream", &of_twin));
	CHECK(!takes("FROM /twinChangeNotifications WHERE twin_change_includes(reported.other) INTO $upstream", &of_twin));
}

TEST("an input is found in its path, and the words of the language have no case")
{
	struct err err = ERR_INIT;
	OWN(route) input = route_parse(
		"select * from /messages/* where level = 'x' into brokeredEndpoint('/modules/Filter/inputs/in1')", &err);
	OWN(route) upstream = route_parse("  FROM /* INTO $UPSTREAM  ", &err);
	OWN(route) bare = route_parse("FROM /* INTO BrokeredEndpoint(\"modules/m/inputs/i/\")", &err);

	CHECK(input && upstream && bare);
	CHECK_STR(input->module_id, "Filter");
	CHECK_STR(input->input, "in1");
	CHECK_STR(input->source, "/messages/*");
	CHECK(!upstream->module_id && !upstream->where);
	CHECK_STR(bare->module_id, "m");
}

static void
check_refused(const char *text, enum err_kind kind, const char *part)
{
	struct err err = ERR_INIT;
	OWN(route) route = route_parse(text, &err);

	if (route)
		fail_msg("%s was understood", text);
	CHECK_ERR(err, kind, part);
}

TEST("what is wrong is told with its place")
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "", "at character 1: FROM is expected, and the query ends" },
		{ "FORM /* INTO $upstream", "at character 1: FROM is expected, not FORM" },
		{ "SELECT FROM /* INTO $upstream", "at character 8: * is expected, not FROM" },
		{ "FROM INTO $upstream", "at character 6: a source is expected" },
		{ "FROM messages INTO $upstream", "at character 6: a source is expected" },
		{ "FROM /nope INTO $upstream",
			"at character 6: no message has a source that begins with /nope: there are /messages/events" },
		{ "FROM /devices/x INTO $upstream", "begins with /devices/x:" },
		{ "FROM /message INTO $upstream", "begins with /message:" },
		{ "FROM /messages/event INTO $upstream", "no message has a source" },
		{ "FROM /messages/events/x INTO $upstream", "no message has a source" },
		{ "FROM /messages/modules//outputs/x INTO $upstream", "no message has a source" },
		{ "FROM /messages/modules/m/inputs/x INTO $upstream", "no message has a source" },
		{ "FROM /messages/modules/m/outputs//x INTO $upstream", "no message has a source" },
		{ "FROM /messages/modules/m/outputs/o/more INTO $upstream", "no message has a source" },
		{ "FROM /twinChangeNotifications/x INTO $upstream", "no message has a source" },
		{ "FROM /*/messages/* INTO $upstream", "no message has a source" },
		{ "FROM /*", "at character 8: WHERE or INTO is expected, and the query ends" },
		{ "FROM /* WHERE INTO $upstream", "at character 15: a value is expected, not INTO" },
		{ "FROM /* WHERE a == '1' INTO $upstream", "at character 18: a value is expected, not =" },
		{ "FROM /* WHERE a = '1' INTO", "is expected, and the query ends" },
		{ "FROM /* WHERE a = '1' ORDER INTO $upstream", "at character 23: an operator or INTO is expected, not ORDER" },
		{ "FROM /* INTO upstream", "at character 14: $upstream or BrokeredEndpoint(...) is expected" },
		{ "FROM /* INTO \"/modules/a/inputs/b\"", "$upstream or BrokeredEndpoint(...) is expected" },
		{ "FROM /* INTO BrokeredEndpoint \"/modules/a/inputs/b\")", "( is expected" },
		{ "FROM /* INTO BrokeredEndpoint(\"/modules/a/inputs/b\"", ") is expected" },
		{ "FROM /* INTO BrokeredEndpoint('/modules/a/inputs/b\")", "the string that begins here does not end" },
		{ "FROM /* INTO BrokeredEndpoint(\"/modules/a\")", "at character 31: an input is" },
		{ "FROM /* INTO BrokeredEndpoint(\"/modules/a/inputs/b/c\")", "an input is" },
		{ "FROM /* INTO BrokeredEndpoint(\"/modules//inputs/b\")", "an input is" },
		{ "FROM /* INTO BrokeredEndpoint(\"/modules/a/inputs/#\")", "none of # + ?" },
		{ "FROM /* INTO BrokeredEndpoint(\"/modules/$edgeHub/inputs/in\")", "at character 31: $edgeHub has no inputs" },
		{ "FROM /* WHERE level INTO $upstream", "at character 15: true or false is needed here, and this is a text: a "
							"property is compared, as in level = 'high'" },
		{ "FROM /* WHERE (level ?? 'x') INTO $upstream", "true or false is needed here, and this is a text" },
		{ "FROM /* WHERE $contentType INTO $upstream", "true or false is needed here, and this is a text" },
		{ "FROM /* WHERE 'x' INTO $upstream", "at character 15: true or false is needed here, and this is a text" },
		{ "FROM /* WHERE 1 INTO $upstream", "at character 15: true or false is needed here, and this is a number" },
		{ "FROM /* WHERE abs(-1) INTO $upstream", "at character 15: true or false is needed here, and this is a number" },
		{ "FROM /* WHERE 1 + 1 INTO $upstream", "true or false is needed here, and this is a number" },
		{ "FROM /* WHERE null INTO $upstream", "at character 15: true or false is needed here, and this is null" },
		{ "FROM /* WHERE undefined INTO $upstream", "true or false is needed here, and this is null" },
		{ "FROM /* INTO $upstream now", "at character 24: the end is expected, not now" },
		{ "FROM /* WHERE temperature > 30 INTO $upstream", "at character 27: a text meets a number here: AS_NUMBER" },
		{ "FROM /* WHERE 'x' AND true INTO $upstream",
			"at character 19: true or false is needed here, and this is a text" },
		{ "FROM /* WHERE level + 1 = 2 INTO $upstream", "at character 21: a number is needed here, and this is a text" },
		{ "FROM /* WHERE abs(level) = 2 INTO $upstream", "at character 15: a number is needed here" },
		{ "FROM /* WHERE length(3) = 2 INTO $upstream", "a text is needed here, and this is a number" },
		{ "FROM /* WHERE 1 || 'x' = '1x' INTO $upstream", "a text is needed here, and this is a number" },
		{ "FROM /* WHERE (level ?? 3) = 'x' INTO $upstream", "a text meets a number here" },
		{ "FROM /* WHERE nonsense(a) INTO $upstream", "there is no function nonsense" },
		{ "FROM /* WHERE twin_change_includes() INTO $upstream", "a name is expected" },
		{ "FROM /* WHERE twin_change_includes(a INTO $upstream", ") is expected" },
		{ "FROM /* WHERE {$to = 'x' INTO $upstream", "} is expected" },
		{ "FROM /* WHERE $body.a[x] = 'x' INTO $upstream", "a whole number is expected" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		check_refused(rows[i].text, ERR_INVALID, rows[i].part);
}

TEST("a route has ceilings: its length, what nests in it, an input's name")
{
	CLEAR(buf) text = BUF_INIT(1 << 20);

	buf_puts(&text, "FROM /* WHERE a = '");
	while (text.len < ROUTE_MAX)
		buf_putc(&text, 'x');
	buf_puts(&text, "' INTO $upstream");
	check_refused(buf_text(&text), ERR_LIMIT, "at most 8192 characters");
	buf_reset(&text);
	buf_puts(&text, "FROM /* WHERE ");
	for (int i = 0; i < 2000; i++)
		buf_putc(&text, '(');
	check_refused(buf_text(&text), ERR_INVALID, "less nested");
	buf_reset(&text);
	buf_puts(&text, "FROM /* WHERE a");
	for (int i = 0; i < 1000; i++)
		buf_puts(&text, " || a");
	check_refused(buf_text(&text), ERR_INVALID, "64 deep");
	buf_reset(&text);
	buf_puts(&text, "FROM /* WHERE a");
	for (int i = 0; i < 1000; i++)
		buf_puts(&text, " ?? a");
	check_refused(buf_text(&text), ERR_INVALID, "64 deep");
	buf_reset(&text);
	buf_puts(&text, "FROM /* INTO BrokeredEndpoint('/modules/m/inputs/");
	for (int i = 0; i <= ROUTE_INPUT_MAX; i++)
		buf_putc(&text, 'i');
	buf_puts(&text, "')");
	check_refused(buf_text(&text), ERR_INVALID, "at most 64 characters");
}
