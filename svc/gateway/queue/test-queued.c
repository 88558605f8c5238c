/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a message between the queue's log and who is sent it. */
#include "gateway/queue/test_queue_reader.h"

TEST("a message has who sent it, its properties as sent and its body; a will is marked as the hub would mark it")
{
	const struct queued *q;
	struct fixture f;

	fixture_start(&f, "parts", 16);
	store_message(f.log, &(struct message){ .source = MESSAGE_TELEMETRY,
				     .enqueued_ms = 1772366400123,
				     .device_id = slice_of("dev1"),
				     .module_id = slice_of("mod1"),
				     .generation_id = slice_of("g1"),
				     .bag = slice_of("a=1&%24.mid=x/"),
				     .payload = slice_of("body"),
				     .retain = true });
	store_message(f.log, &(struct message){ .source = MESSAGE_TELEMETRY,
				     .device_id = slice_of("dev1"),
				     .generation_id = slice_of(""),
				     .bag = slice_of("a=1/"),
				     .payload = slice_of(""),
				     .is_will = true });
	fixture_read(&f);
	q = next_of(f.reader);
	CHECK_STR(q->device_id, "dev1");
	CHECK_STR(q->module_id, "mod1");
	CHECK_STR(q->generation_id, "g1");
	CHECK_STR(q->bag, "a=1&%24.mid=x/");
	CHECK_INT(q->enqueued_ms, 1772366400123);
	CHECK_INT(q->len, 4);
	CHECK_MEM(q->payload, "body", 4);
	CHECK(q->retain);
	q = next_of(f.reader);
	CHECK_STR(q->module_id, NULL);
	CHECK_STR(q->bag, "a=1&iothub-MessageType=Will");
	CHECK_INT(q->len, 0);
	fixture_close(&f);
}

/* Of a message that came with DUP. */
static void
check_dup(const char *name, struct slice bag, struct slice payload, bool is_told)
{
	const struct queued *q;
	struct fixture f;

	fixture_start(&f, name, 16);
	store_message(f.log,
		&(struct message){
			.source = MESSAGE_TELEMETRY, .device_id = slice_of("dev1"), .bag = bag, .payload = payload, .dup = true });
	fixture_read(&f);
	q = next_of(f.reader);
	CHECK_INT(text_ends(q->bag, "mqtt-dup=true"), is_told);
	CHECK_INT(strlen(q->bag) > bag.len, is_told);
	CHECK_INT(q->len, payload.len);
	fixture_close(&f);
}

TEST("a message that was sent again says so, behind its own properties, where there is room")
{
	size_t most = 256 * 1024;
	OWN_TEXT large = mem_new(most + 1);

	memset(large, 'v', most);
	check_dup("dup-none", slice_of(""), slice_of("x"), true);
	check_dup("dup-slash", slice_of("a=1/"), slice_of("x"), true);
	check_dup("dup-bag", (struct slice){ large, 65400 }, slice_of("x"), false);
	check_dup("dup-body", slice_of("a=1"), (struct slice){ large, most - 3 }, false);
}
