/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/topic.h"

#define IS(slice, text)                                                                                                            \
	do {                                                                                                                       \
		OWN_TEXT is_got = slice_text(slice);                                                                               \
		CHECK_STR(is_got, text);                                                                                           \
	} while (0)

TEST("telemetry of a device may have a bag, a slash, or nothing behind it")
{
	static const char *const topics[] = { "devices/d/messages/events", "devices/d/messages/events/",
		"devices/d/messages/events/a=b", "devices/d/messages/events/a=b/" };
	static const char *const bags[] = { "", "", "a=b", "a=b/" };

	for (size_t i = 0; i < COUNT(topics); i++) {
		struct topic t = topic_parse(slice_of(topics[i]));

		CHECK_INT(t.kind, TOPIC_TELEMETRY);
		IS(t.device_id, "d");
		IS(t.module_id, "");
		IS(t.bag, bags[i]);
	}
}

TEST("telemetry of a module names both")
{
	struct topic t = topic_parse(slice_of("devices/d%201/modules/$edgeAgent/messages/events/%24.on=out/"));

	CHECK_INT(t.kind, TOPIC_TELEMETRY);
	IS(t.device_id, "d%201");
	IS(t.module_id, "$edgeAgent");
	IS(t.bag, "%24.on=out/");
}

TEST("questions and answers carry a rid, echoed as it is")
{
	struct topic get = topic_parse(slice_of("$iothub/twin/GET/?$rid=a-b%20c"));
	struct topic patch = topic_parse(slice_of("$iothub/twin/PATCH/properties/reported/?$rid=7&$version=3"));
	struct topic answer = topic_parse(slice_of("$iothub/methods/res/-1/?$rid=x"));
	struct topic certificate = topic_parse(slice_of("$iothub/credentials/POST/issueCertificate/?$rid=9"));

	CHECK_INT(certificate.kind, TOPIC_ISSUE_CERT);
	IS(certificate.rid, "9");
	CHECK_INT(get.kind, TOPIC_TWIN_GET);
	IS(get.rid, "a-b%20c");
	CHECK_INT(patch.kind, TOPIC_TWIN_REPORTED);
	IS(patch.rid, "7");
	IS(patch.version, "3");
	CHECK_INT(answer.kind, TOPIC_METHOD_RESPONSE);
	IS(answer.status, "-1");
	IS(answer.rid, "x");
}

TEST("anything else is unknown, and nothing of it is told")
{
	static const char *const topics[] = { "", "/", "devices", "devices/", "devices//messages/events/", "devices/d",
		"devices/d/messages/eventsx", "devices/d/messages/devicebound/", "devices/d/modules//messages/events/",
		"devices/d/modules/m", "Devices/d/messages/events/", "$iothub/twin/GET/",
		"$iothub/twin/GET/?$rid=", "$iothub/twin/GET/?rid=1", "$iothub/twin/GET?$rid=1",
		"$iothub/twin/PATCH/properties/desired/?$rid=1", "$iothub/methods/res/ok/?$rid=1", "$iothub/methods/res/200?$rid=1",
		"$iothub/methods/res/99999999999/?$rid=1", "$iothub/methods/POST/x/?$rid=1", "telemetry" };

	for (size_t i = 0; i < COUNT(topics); i++) {
		struct topic t = topic_parse(slice_of(topics[i]));

		if (t.kind != TOPIC_UNKNOWN)
			fail_msg("'%s' is not unknown", topics[i]);
		CHECK_INT(t.device_id.len + t.module_id.len + t.rid.len + t.status.len, 0);
	}
}

TEST("a status with NUL in it is no number")
{
	static const char text[] = "$iothub/methods/res/2\0x/?$rid=1";

	CHECK_INT(topic_parse((struct slice){ .text = text, .len = sizeof(text) - 1 }).kind, TOPIC_UNKNOWN);
}

TEST("a rid of more than 256 bytes is refused")
{
	OWN_TEXT fits = mem_textf("$iothub/twin/GET/?$rid=%0256d", 1);
	OWN_TEXT over = mem_textf("$iothub/twin/GET/?$rid=%0257d", 1);

	CHECK_INT(topic_parse(slice_of(fits)).kind, TOPIC_TWIN_GET);
	CHECK_INT(topic_parse(slice_of(over)).kind, TOPIC_UNKNOWN);
}

TEST("what a device is told says what it is, and whose")
{
	struct told command = told_parse(slice_of("devices/d/messages/devicebound/%24.mid=7&a=b"));
	struct told of_module = told_parse(slice_of("devices/d/modules/m/messages/devicebound/"));
	struct told desired = told_parse(slice_of("$iothub/twin/PATCH/properties/desired/?$version=12"));
	struct told method = told_parse(slice_of("$iothub/methods/POST/re%20boot/?$rid=1f"));
	struct told answer = told_parse(slice_of("$iothub/twin/res/204/?$rid=9&$version=3"));
	struct told unversioned = told_parse(slice_of("$iothub/twin/res/429/?$rid=9"));

	CHECK_INT(command.kind, TOLD_COMMAND);
	IS(command.device_id, "d");
	IS(command.module_id, "");
	IS(command.bag, "%24.mid=7&a=b");
	CHECK_INT(of_module.kind, TOLD_COMMAND);
	IS(of_module.module_id, "m");
	IS(of_module.bag, "");
	CHECK_INT(desired.kind, TOLD_DESIRED);
	CHECK_INT(desired.version, 12);
	CHECK_INT(method.kind, TOLD_METHOD);
	IS(method.name, "re%20boot");
	IS(method.rid, "1f");
	CHECK_INT(answer.kind, TOLD_TWIN_ANSWER);
	CHECK_INT(answer.status, 204);
	CHECK_INT(answer.version, 3);
	IS(answer.rid, "9");
	CHECK_INT(unversioned.kind, TOLD_TWIN_ANSWER);
	CHECK_INT(unversioned.version, 0);
}

TEST("what no server tells a device is unknown, and nothing of it is told")
{
	static const char *const topics[] = { "", "devices/d/messages/events/", "devices/d/messages/devicebound",
		"devices//messages/devicebound/", "$iothub/twin/PATCH/properties/desired/",
		"$iothub/twin/PATCH/properties/desired/?$version=x", "$iothub/twin/PATCH/properties/desired/?$version=-1",
		"$iothub/twin/PATCH/properties/desired/?$version=99999999999999999999", "$iothub/methods/POST/x",
		"$iothub/methods/POST//?$rid=1", "$iothub/methods/POST/x/?$rid=", "$iothub/twin/res/200",
		"$iothub/twin/res/-1/?$rid=1", "$iothub/twin/res/2000/?$rid=1", "$iothub/twin/res/200/?$version=1",
		"$iothub/twin/GET/?$rid=1" };

	for (size_t i = 0; i < COUNT(topics); i++) {
		struct told told = told_parse(slice_of(topics[i]));

		if (told.kind != TOLD_UNKNOWN)
			fail_msg("'%s' is not unknown", topics[i]);
		CHECK_INT(told.device_id.len + told.module_id.len + told.rid.len + told.name.len, 0);
	}
}

struct wish {
	const char *text;
	enum filter_kind kind;
	const char *device, *module;
};

TEST("of each kind an identity has one filter, which is read as it is written")
{
	for (int kind = 1; kind < FILTER_KINDS; kind++) {
		const char *module_id = kind == FILTER_INPUTS || kind == FILTER_MODULE_ALL ? "m" : NULL;
		OWN_TEXT text = filter_text((enum filter_kind)kind, "d", module_id);

		CHECK_INT(filter_parse(slice_of(text)).kind, kind);
	}
	CHECK_INT(filter_parse(slice_of("devices//$iothub/twin/res/#")).kind, FILTER_UNKNOWN);
	CHECK_INT(filter_parse(slice_of("devices/d/modules//$iothub/twin/res/#")).kind, FILTER_UNKNOWN);
	CHECK_INT(filter_parse(slice_of("devices/d/$iothub/twin/res/#")).kind, FILTER_UNKNOWN);
}

TEST("filters are known exactly as the SDKs write them")
{
	static const struct wish wishes[] = {
		{ "devices/d/messages/devicebound/#", FILTER_DEVICEBOUND, "d", "" },
		{ "devices/d/modules/m/messages/devicebound/#", FILTER_DEVICEBOUND, "d", "m" },
		{ "devices/d/modules/m/inputs/#", FILTER_INPUTS, "d", "m" },
		{ "devices/d/modules/m/#", FILTER_MODULE_ALL, "d", "m" },
		{ "$iothub/twin/res/#", FILTER_TWIN_RESPONSE, "", "" },
		{ "$iothub/twin/PATCH/properties/desired/#", FILTER_TWIN_DESIRED, "", "" },
		{ "$iothub/methods/POST/#", FILTER_METHODS, "", "" },
		{ "$iothub/credentials/res/#", FILTER_CREDENTIALS, "", "" },
		{ "$iothub/credentials/#", FILTER_UNKNOWN, "", "" },
		{ "#", FILTER_UNKNOWN, "", "" },
		{ "devices/#", FILTER_UNKNOWN, "", "" },
		{ "devices/+/messages/devicebound/#", FILTER_DEVICEBOUND, "+", "" },
		{ "devices/d/#", FILTER_UNKNOWN, "", "" },
		{ "devices/d/inputs/#", FILTER_UNKNOWN, "", "" },
		{ "devices/d/messages/devicebound", FILTER_UNKNOWN, "", "" },
		{ "devices/d/messages/devicebound/##", FILTER_UNKNOWN, "", "" },
		{ "$iothub/twin/res/", FILTER_UNKNOWN, "", "" },
		{ "$iothub/#", FILTER_UNKNOWN, "", "" },
	};

	for (size_t i = 0; i < COUNT(wishes); i++) {
		struct filter f = filter_parse(slice_of(wishes[i].text));

		if (f.kind != wishes[i].kind)
			fail_msg("'%s' is %d, not %d", wishes[i].text, (int)f.kind, (int)wishes[i].kind);
		IS(f.device_id, wishes[i].device);
		IS(f.module_id, wishes[i].module);
	}
}

TEST("messages are delivered at QoS 1, everything else at QoS 0")
{
	CHECK_INT(filter_qos(FILTER_DEVICEBOUND), 1);
	CHECK_INT(filter_qos(FILTER_INPUTS), 1);
	CHECK_INT(filter_qos(FILTER_MODULE_ALL), 1);
	CHECK_INT(filter_qos(FILTER_TWIN_RESPONSE), 0);
	CHECK_INT(filter_qos(FILTER_METHODS), 0);
	CHECK_INT(filter_qos(FILTER_CREDENTIALS), 0);
}
