/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/provisioning/custom_allocation.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "t.h"
#include "wire/json.h"

#define OURS "home.test"

static struct linked_hub far_hub = { .host = (char[]){ "far.test" } }, third_hub = { .host = (char[]){ "third.test:8443" } };
static const struct linked_hubs hubs = { .item = { &far_hub, &third_hub }, .n = 2 };

static struct enrollment *
group(const char *wishes)
{
	struct enrollment *e = enrollment_new("plant", true);

	e->etag = mem_text("AA==");
	e->proof = ENROLLMENT_BY_KEY;
	e->wishes = json_loads(wishes, 0, NULL);
	return e;
}

static int
read_answer(const char *text, const char *wishes, struct custom_allocation *out, struct err *err)
{
	OWN(enrollment) e = group(wishes);
	json_t *answer = json_loads(text, JSON_DECODE_ANY, NULL);
	int number = custom_allocation_read(out, answer, e, &hubs, OURS, err);

	json_decref(answer);
	return number;
}

TEST("a web hook is asked over https, with a host, and with nothing that no URL has")
{
	static const char *const good[] = { "https://hook.test/allocate?code=secret", "https://hook.test:8443", "https://[::1]/x" };
	static const char *const bad[] = { "", "hook", "http://hook.test/", "http://localhost/", "ftp://x/", "https://",
		"https://a b/", "https://hook.test/\r\nX: y", "https://user:word@hook.test/", "unix:///run/x",
		"https://hook.test/\xc3\xa4" };
	char endless[4096];
	struct err err = ERR_INIT;

	memset(endless, 'a', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	memcpy(endless, "https://", 8);
	for (size_t i = 0; i < COUNT(good); i++)
		CHECK_OK(custom_allocation_check_url(good[i], &err), err);
	for (size_t i = 0; i < COUNT(bad); i++)
		CHECK(custom_allocation_check_url(bad[i], &err) < 0);
	CHECK(custom_allocation_check_url(endless, &err) < 0);
}

TEST("the question has the enrollment without the hook's key, the device as it is now, and the hubs that it may have")
{
	OWN(enrollment) e = group("{\"allocationPolicy\": \"custom\", \"iotHubs\": [\"far.test\", \"home.test\"],"
				  " \"customAllocationDefinition\": {\"webhookUrl\": \"https://hook.test/a?code=SECRET\", "
				  "\"apiVersion\": \"2021-10-01\"}}");
	struct registration r = { .id = (char[]){ "Dev-1" },
		.device_id = (char[]){ "Dev-1" },
		.from = (char[]){ "far.test" },
		.payload = (char[]){ "{\"model\":7}" } };
	OWN_LIB(json_t) all = custom_allocation_request(e, &r, &hubs, OURS);
	OWN_LIB(json_t) context = json_loads(
		"{\"registrationId\": \"Dev-1\", \"currentIotHubHostName\": \"far.test\", \"currentDeviceId\": \"Dev-1\","
		" \"symmetricKey\": {}, \"payload\": {\"model\": 7}}",
		0, NULL);
	OWN_LIB(json_t) names = json_loads("[\"far.test\", \"home.test\"]", 0, NULL);
	OWN_TEXT text = json_dumps(all, JSON_COMPACT);

	CHECK(json_equal(json_object_get(all, "deviceRuntimeContext"), context));
	CHECK(json_equal(json_object_get(all, "linkedHubs"), names));
	CHECK_STR(json_string_value(json_object_get(json_object_get(all, "enrollmentGroup"), "enrollmentGroupId")), "plant");
	CHECK(strstr(text, "https://hook.test/a?****") && !strstr(text, "SECRET"));
	CHECK_STR(custom_allocation_url(e), "https://hook.test/a?code=SECRET");
}

TEST("a device that is in no hub yet has no current one in the question, and without a payload none")
{
	OWN(enrollment) e = group("{\"allocationPolicy\": \"custom\"}");
	struct registration r = { .id = (char[]){ "d" }, .device_id = (char[]){ "d" } };
	OWN_LIB(json_t) all = custom_allocation_request(e, &r, &hubs, OURS);
	const json_t *context = json_object_get(all, "deviceRuntimeContext");

	CHECK(!json_object_get(context, "currentIotHubHostName") && !json_object_get(context, "currentDeviceId"));
	CHECK(!json_object_get(context, "payload"));
	CHECK(json_array_size(json_object_get(all, "linkedHubs")) == 3);
}

TEST("an answer names one of the hubs in any case, and may have a twin and a payload")
{
	struct custom_allocation got;
	struct err err = ERR_INIT;

	CHECK(read_answer("{\"iotHubHostName\": \"FAR.test\", \"initialTwin\": {\"tags\": {\"a\": 1}}, \"payload\": {\"b\": [2]}}",
		      "{}", &got, &err) == 0);
	CHECK_STR(got.hub, "far.test");
	CHECK_STR(got.twin, "{\"tags\":{\"a\":1}}");
	CHECK_STR(got.returned, "{\"b\":[2]}");
	custom_allocation_clear(&got);
	CHECK(read_answer("{\"iotHubHostName\": \"home.test\", \"initialTwin\": null}", "{}", &got, &err) == 0);
	CHECK_STR(got.hub, "home.test");
	CHECK(!got.twin && !got.returned);
	custom_allocation_clear(&got);
}

TEST("an answer without a hub, with a strange one, or with one that the enrollment does not name is 400208, and what is no answer "
     "400207")
{
	static const struct {
		const char *answer, *wishes;
		int number;
	} rows[] = {
		{ "{}", "{}", 400208 },
		{ "{\"iotHubHostName\": \"\"}", "{}", 400208 },
		{ "{\"iotHubHostName\": 7}", "{}", 400208 },
		{ "{\"iotHubHostName\": \"evil.test\"}", "{}", 400208 },
		{ "{\"iotHubHostName\": \"far.test\"}", "{\"iotHubs\": [\"home.test\"]}", 400208 },
		{ "[]", "{}", 400207 },
		{ "\"far.test\"", "{}", 400207 },
		{ "{\"iotHubHostName\": \"far.test\", \"initialTwin\": []}", "{}", 400207 },
		{ "{\"iotHubHostName\": \"far.test\", \"payload\": \"x\"}", "{}", 400207 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct custom_allocation got;
		struct err err = ERR_INIT;

		CHECK_INT(read_answer(rows[i].answer, rows[i].wishes, &got, &err), rows[i].number);
		CHECK(err.text[0] && !got.hub && !got.twin && !got.returned);
	}
}

TEST("a payload that is too long is refused")
{
	OWN_LIB(json_t) answer = json_pack("{s:s, s:{}}", "iotHubHostName", "far.test", "payload");
	OWN_TEXT text = (char *)mem_new(CUSTOM_ALLOCATION_PAYLOAD_MAX + 1);
	OWN(enrollment) e = group("{}");
	struct custom_allocation got;
	struct err err = ERR_INIT;

	memset(text, 'x', CUSTOM_ALLOCATION_PAYLOAD_MAX);
	text[CUSTOM_ALLOCATION_PAYLOAD_MAX] = '\0';
	json_object_set_new(json_object_get(answer, "payload"), "x", json_string(text));
	CHECK_INT(custom_allocation_read(&got, answer, e, &hubs, OURS, &err), 400207);
}

TEST("a hook that says no is told, one that is busy is asked again")
{
	CHECK_INT(custom_allocation_status_number(401), 400209);
	CHECK_INT(custom_allocation_status_number(403), 400209);
	CHECK_INT(custom_allocation_status_number(400), 400207);
	CHECK_INT(custom_allocation_status_number(302), 400207);
	CHECK_INT(custom_allocation_status_number(500), 400207);
	CHECK_INT(custom_allocation_status_number(429), 0);
	CHECK_INT(custom_allocation_status_number(503), 0);
}
