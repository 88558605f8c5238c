/* SPDX-License-Identifier: Apache-2.0 */
/* Stored messages. */
#include "base/file.h"
#include "base/mem.h"
#include "store/message.h"
#include "t.h"

static const struct message sample = {
	.source = MESSAGE_TELEMETRY,
	.enqueued_ms = 1772366400123,
	.device_id = { "pump-1", 6 },
	.module_id = { "filter", 6 },
	.generation_id = { "637", 3 },
	.auth_method = { "{\"scope\":\"module\",\"type\":\"sas\",\"issuer\":\"iothub\"}", 49 },
	.model_id = { "dtmi:com:example;1", 18 },
	.bag = { "%24.mid=m1&%24.ct=application%2Fjson&%24.ce=utf-8&level=high%20up&empty=", 72 },
	.payload = { "{\"t\":21.5}", 10 },
	.retain = true,
};

TEST("a message comes back as it was stored, byte for byte")
{
	CLEAR(buf) record = BUF_INIT(4096);
	struct err err = ERR_INIT;
	struct message got;

	message_encode(&record, &sample);
	CHECK_OK(message_decode(&got, record.data, record.len, &err), err);
	CHECK_INT(got.source, MESSAGE_TELEMETRY);
	CHECK_INT(got.enqueued_ms, sample.enqueued_ms);
	CHECK(slice_is(got.device_id, "pump-1") && slice_is(got.module_id, "filter") && slice_is(got.generation_id, "637"));
	CHECK(got.bag.len == sample.bag.len && memcmp(got.bag.text, sample.bag.text, got.bag.len) == 0);
	CHECK(slice_is(got.payload, "{\"t\":21.5}") && slice_is(got.model_id, "dtmi:com:example;1"));
	CHECK(got.retain && !got.dup && !got.is_will);
}

TEST("a message that expires says so in a record of its own version, and one that does not can be read by who knows no other")
{
	CLEAR(buf) record = BUF_INIT(4096);
	CLEAR(buf) plain = BUF_INIT(4096);
	struct message expiring = sample, got;
	struct err err = ERR_INIT;

	expiring.expires_ms = 1772366460123;
	message_encode(&record, &expiring);
	message_encode(&plain, &sample);
	CHECK(record.data[0] == 2 && plain.data[0] == 1 && record.len == plain.len + 8);
	CHECK_OK(message_decode(&got, record.data, record.len, &err), err);
	CHECK_INT(got.expires_ms, expiring.expires_ms);
	CHECK(slice_is(got.payload, "{\"t\":21.5}"));
	CHECK_OK(message_decode(&got, plain.data, plain.len, &err), err);
	CHECK_INT(got.expires_ms, 0);
	for (size_t len = 0; len < record.len; len++)
		CHECK(message_decode(&got, record.data, len, &err) < 0);
}

TEST("a message with a mark has it in a record of its own version, whether it expires or not")
{
	CLEAR(buf) record = BUF_INIT(4096);
	struct message marked = sample, got;
	struct err err = ERR_INIT;

	marked.mark = slice_of("00c0ffee00c0ffee.42.41.1");
	message_encode(&record, &marked);
	CHECK_INT(record.data[0], 3);
	CHECK_OK(message_decode(&got, record.data, record.len, &err), err);
	CHECK(slice_is(got.mark, "00c0ffee00c0ffee.42.41.1") && slice_is(got.payload, "{\"t\":21.5}") && got.expires_ms == 0);
	for (size_t len = 0; len < record.len; len++)
		CHECK(message_decode(&got, record.data, len, &err) < 0);
}

TEST("no shortened or lengthened record is read as a message")
{
	CLEAR(buf) record = BUF_INIT(4096);
	struct err err = ERR_INIT;
	struct message got;

	message_encode(&record, &sample);
	for (size_t len = 0; len < record.len; len++)
		CHECK(message_decode(&got, record.data, len, &err) < 0);
	buf_putc(&record, 'x');
	CHECK(message_decode(&got, record.data, record.len, &err) < 0);
	CHECK_ERR(err, ERR_BROKEN, "cannot be read");
}

TEST("a message of a newer version is refused by its number")
{
	CLEAR(buf) record = BUF_INIT(4096);
	struct err err = ERR_INIT;
	struct message got;

	message_encode(&record, &sample);
	record.data[0] = 4;
	CHECK(message_decode(&got, record.data, record.len, &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "version 4");
}

TEST("a message stored by version 1 is read")
{
	const char *source = getenv("T_DATA");
	OWN_TEXT path = mem_textf("%s/message-v1.bin", source ? source : "tests/data");
	CLEAR(buf) golden = BUF_INIT(4096);
	CLEAR(buf) now = BUF_INIT(4096);
	struct err err = ERR_INIT;
	struct message got;

	CHECK_OK(file_load(&golden, path, &err), err);
	CHECK_OK(message_decode(&got, golden.data, golden.len, &err), err);
	message_encode(&now, &got);
	CHECK_INT(now.len, golden.len);
	CHECK_MEM(now.data, golden.data, now.len);
	CHECK(slice_is(got.device_id, "pump-1"));
}

static void
check_json(const struct message *message, const char *want)
{
	OWN_TEXT json = message_json(
		message, &(struct event_place){ .offset = 7, .partition = 2, .sequence = 3, .time_ms = 1772366400456 });

	CHECK_STR(json, want);
}

TEST("as JSON a message shows what the device set, what the hub stamped, and a body that is JSON as JSON")
{
	check_json(&sample,
		"{\"offset\":7,\"partition\":2,\"sequenceNumber\":3,\"enqueuedTime\":\"2026-03-01T12:00:00.456Z\","
		"\"systemProperties\":{\"message-id\":\"m1\",\"content-type\":\"application/"
		"json\",\"content-encoding\":\"utf-8\"},"
		"\"properties\":{\"level\":\"high up\",\"empty\":\"\",\"mqtt-retain\":\"true\"},"
		"\"annotations\":{\"iothub-connection-device-id\":\"pump-1\",\"iothub-connection-module-id\":\"filter\","
		"\"iothub-connection-auth-generation-id\":\"637\","
		"\"iothub-connection-auth-method\":\"{\\\"scope\\\":\\\"module\\\",\\\"type\\\":\\\"sas\\\",\\\"issuer\\\":"
		"\\\"iothub\\\"}\","
		"\"dt-dataschema\":\"dtmi:com:example;1\",\"iothub-enqueuedtime\":\"2026-03-01T12:00:00.123Z\","
		"\"iothub-message-source\":\"Telemetry\"},\"body\":{\"t\":21.5}}");
}

TEST("a body in JSON keeps its digits, and stands on one line")
{
	struct message m = sample;
	OWN_TEXT json = NULL;

	m.bag = slice_of("%24.ct=application%2Fjson");
	m.payload = slice_of("{\"t\": 24.3,\n \"big\": 12345678901234567.25}");
	json = message_json(&m, &(struct event_place){ 0 });
	CHECK_CONTAINS(json, "\"body\":{\"t\": 24.3,  \"big\": 12345678901234567.25}}");
	CHECK(!strchr(json, '\n'));
}

TEST("a body that is neither JSON nor text is shown as base64")
{
	struct message m = { .source = MESSAGE_TELEMETRY, .device_id = { "d", 1 }, .payload = { "\xff\0x", 3 } };

	check_json(&m, "{\"offset\":7,\"partition\":2,\"sequenceNumber\":3,\"enqueuedTime\":\"2026-03-01T12:00:00.456Z\","
		       "\"systemProperties\":{},\"properties\":{},\"annotations\":{\"iothub-connection-device-id\":\"d\","
		       "\"iothub-enqueuedtime\":\"1970-01-01T00:00:00.000Z\",\"iothub-message-source\":\"Telemetry\"},"
		       "\"bodyEncoding\":\"base64\",\"body\":\"/wB4\"}");
}

TEST("a body that only claims to be JSON is shown as text")
{
	struct message m = { .source = MESSAGE_TELEMETRY,
		.device_id = { "d", 1 },
		.bag = { "%24.ct=application%2Fjson", 25 },
		.payload = { "{oops", 5 } };
	OWN_TEXT json = message_json(&m, &(struct event_place){ 0 });

	CHECK_CONTAINS(json, "\"body\":\"{oops\"");
}
