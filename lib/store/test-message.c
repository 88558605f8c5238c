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
	record.data[0] = 2;
	CHECK(message_decode(&got, record.data, record.len, &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "version 2");
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
