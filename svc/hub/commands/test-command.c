/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a command's life. */
#include "base/mem.h"
#include "hub/commands/command.h"
#include "t.h"

#define NOW INT64_C(1767225600000) /* 2026-01-01 */

static struct slice
text(const char *t)
{
	return slice_of(t);
}

TEST("a command lives an hour unless its sender says otherwise, and two days at most")
{
	int64_t expires = 7;

	CHECK(command_expiry(0, NOW, &expires));
	CHECK_INT(expires, NOW + 3600 * 1000);
	CHECK(command_expiry(NOW + COMMAND_LIFE_MAX_MS, NOW, &expires));
	CHECK_INT(expires, NOW + COMMAND_LIFE_MAX_MS);
	CHECK(!command_expiry(NOW + COMMAND_LIFE_MAX_MS + 1, NOW, &expires));
	CHECK(!command_expiry(NOW, NOW, &expires));
	CHECK_INT(expires, NOW + COMMAND_LIFE_MAX_MS);
}

TEST("a command ends by its time or its tenth delivery, but not while a device has it")
{
	struct command c = { .expires_ms = NOW + 1000, .n_deliveries = 9 };

	CHECK_INT(command_judge(&c, NOW), COMMAND_LIVES);
	CHECK_INT(command_judge(&c, NOW + 1000), COMMAND_EXPIRED);
	c.n_deliveries = 10;
	CHECK_INT(command_judge(&c, NOW), COMMAND_DELIVERY_COUNT_EXCEEDED);
	c.locked_until_ms = NOW + COMMAND_LOCK_MS;
	CHECK(command_is_locked(&c, NOW + 1000));
	CHECK_INT(command_judge(&c, NOW + 1000), COMMAND_LIVES);
	CHECK_INT(command_judge(&c, NOW + COMMAND_LOCK_MS), COMMAND_EXPIRED);
}

TEST("a sender hears of success, of failure, or of both, as it asked")
{
	enum command_ack ack;

	CHECK(command_ack_parse("Positive", &ack));
	CHECK(command_is_reported(ack, COMMAND_SUCCESS) && !command_is_reported(ack, COMMAND_REJECTED));
	CHECK(command_ack_parse("negative", &ack));
	CHECK(!command_is_reported(ack, COMMAND_SUCCESS) && command_is_reported(ack, COMMAND_PURGED));
	CHECK(command_ack_parse("full", &ack));
	CHECK(command_is_reported(ack, COMMAND_SUCCESS) && command_is_reported(ack, COMMAND_EXPIRED));
	CHECK(!command_is_reported(ack, COMMAND_LIVES));
	CHECK(command_ack_parse(NULL, &ack));
	CHECK(!command_is_reported(ack, COMMAND_EXPIRED));
	CHECK(!command_ack_parse("both", &ack));
}

TEST("the bag of a command has its dollars and slashes encoded and says where to")
{
	struct command c = {
		.device_id = text("dev1"),
		.message_id = text("m 1"),
		.properties = text("k1=v%201"),
		.ack = COMMAND_ACK_FULL,
	};
	CLEAR(buf) bag = BUF_INIT(4096);

	command_put_bag(&bag, &c);
	CHECK_STR(buf_text(&bag), "%24.mid=m%201&%24.to=%2Fdevices%2Fdev1%2Fmessages%2Fdevicebound&iothub-ack=full&k1=v%201");
	buf_reset(&bag);
	c = (struct command){ .device_id = text("dev1"), .module_id = text("mod"), .has_expiry = true, .expires_ms = NOW };
	command_put_bag(&bag, &c);
	CHECK_STR(buf_text(&bag),
		"%24.to=%2Fdevices%2Fdev1%2Fmodules%2Fmod%2Fmessages%2Fdevicebound&%24.exp=2026-01-01T00%3A00%3A00.000Z");
}

TEST("a lock from before the clock went back holds no longer than a lock")
{
	struct command c = { .locked_until_ms = 1000 + COMMAND_LOCK_MS };

	CHECK(command_is_locked(&c, 1000));
	CHECK(!command_is_locked(&c, 999));
}
