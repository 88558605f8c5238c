/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "hub/provisioning/provisioning_topic.h"
#include "t.h"

static void
check_slice(struct slice s, const char *wanted)
{
	OWN_TEXT text = slice_text(s);

	CHECK_STR(text, wanted);
}

TEST("user names of all SDKs, with and without a question mark, name id scope and registration")
{
	static const char *const names[] = {
		"0ne00112233/registrations/dev1/api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.1",
		"0ne00112233/registrations/dev1/?api-version=2019-03-31&ClientVersion=x",
		"0ne00112233/registrations/dev1/ClientVersion=x&api-version=2021-06-01",
	};

	for (size_t i = 0; i < COUNT(names); i++) {
		struct provisioning_name name;
		struct err err = ERR_INIT;

		CHECK(provisioning_name_parse(&name, slice_of(names[i]), &err) == 0);
		check_slice(name.id_scope, "0ne00112233");
		check_slice(name.registration_id, "dev1");
	}
}

TEST("a user name without scope, id, or api-version, and one with two versions, is refused")
{
	static const char *const names[] = { "", "/", "s", "s/registrations", "s/registrations/", "s/registrations/d",
		"s/registrations/d/", "/registrations/d/api-version=1", "s/registrations//api-version=1",
		"s/devices/d/api-version=1", "s/registrations/d/api-version=", "s/registrations/d/api-version",
		"s/registrations/d/x=1", "s/registrations/d/api-version=1&api-version=2", "s/registrations/d/??api-version=1",
		"hub/d/?api-version=1" };

	for (size_t i = 0; i < COUNT(names); i++) {
		struct provisioning_name name;
		struct err err = ERR_INIT;

		if (provisioning_name_parse(&name, slice_of(names[i]), &err) == 0)
			fail_msg("accepted: '%s'", names[i]);
		CHECK(err.kind == ERR_INVALID);
	}
}

TEST("the two questions are known by their topics, whatever order their parts have")
{
	struct provisioning_topic t = provisioning_topic_parse(slice_of("$dps/registrations/PUT/iotdps-register/?$rid=r-1"));

	CHECK(t.kind == PROVISIONING_TOPIC_REGISTER);
	check_slice(t.rid, "r-1");
	t = provisioning_topic_parse(
		slice_of("$dps/registrations/GET/iotdps-get-operationstatus/?operationId=5.0.a=b&$rid=2&more=x"));
	CHECK(t.kind == PROVISIONING_TOPIC_OPERATION);
	check_slice(t.rid, "2");
	check_slice(t.operation, "5.0.a=b");
}

TEST("a topic without a request id, with two, with a long one, without an operation, or of another shape is none")
{
	static const char *const topics[] = { "", "$dps/registrations/PUT/iotdps-register/",
		"$dps/registrations/PUT/iotdps-register/?",
		"$dps/registrations/PUT/iotdps-register/?$rid=", "$dps/registrations/PUT/iotdps-register/?$rid=1&$rid=2",
		"$dps/registrations/PUT/iotdps-register?$rid=1", "$dps/registrations/GET/iotdps-register/?$rid=1",
		"$dps/registrations/put/iotdps-register/?$rid=1", "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1",
		"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=", "$iothub/twin/GET/?$rid=1",
		"devices/d/messages/events/", "$dps/registrations/res/200/?$rid=1" };
	CLEAR(buf) buf = BUF_INIT(1024);

	for (size_t i = 0; i < COUNT(topics); i++)
		if (provisioning_topic_parse(slice_of(topics[i])).kind != PROVISIONING_TOPIC_UNKNOWN)
			fail_msg("accepted: '%s'", topics[i]);
	buf_puts(&buf, "$dps/registrations/PUT/iotdps-register/?$rid=");
	for (int i = 0; i < 128; i++)
		buf_puts(&buf, "r");
	CHECK(provisioning_topic_parse((struct slice){ buf_text(&buf), buf.len }).kind == PROVISIONING_TOPIC_REGISTER);
	buf_puts(&buf, "r");
	CHECK(provisioning_topic_parse((struct slice){ buf_text(&buf), buf.len }).kind == PROVISIONING_TOPIC_UNKNOWN);
}

TEST("an answer's topic has the request id first, then when to ask again")
{
	CLEAR(buf) buf = BUF_INIT(1024);

	provisioning_topic_put_answer(&buf, 202, "r-1", 3);
	CHECK_STR(buf_text(&buf), "$dps/registrations/res/202/?$rid=r-1&retry-after=3");
	buf_clear(&buf);
	provisioning_topic_put_answer(&buf, 401, "r-2", 0);
	CHECK_STR(buf_text(&buf), "$dps/registrations/res/401/?$rid=r-2");
}
