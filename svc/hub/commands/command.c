/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a command's life (command.h). */
#include "hub/commands/command.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/property_bag.h"

#define TO_MAX 1024

static const char *const ack_names[] = { "none", "positive", "negative", "full" };
static const char *const end_names[COMMAND_END_COUNT] = {
	[COMMAND_SUCCESS] = "Success",
	[COMMAND_EXPIRED] = "Expired",
	[COMMAND_DELIVERY_COUNT_EXCEEDED] = "DeliveryCountExceeded",
	[COMMAND_REJECTED] = "Rejected",
	[COMMAND_PURGED] = "Purged",
};

bool
command_ack_parse(const char *text, enum command_ack *out)
{
	for (size_t i = 0; i < COUNT(ack_names); i++)
		if (text_is_nocase(text ? text : "none", ack_names[i])) {
			*out = (enum command_ack)i;
			return true;
		}
	return false;
}

const char *
command_ack_name(enum command_ack ack)
{
	return ack_names[ack];
}

bool
command_expiry(int64_t asked_ms, int64_t now_ms, int64_t *expires_ms)
{
	if (asked_ms == 0)
		asked_ms = now_ms + COMMAND_LIFE_MS;
	if (asked_ms <= now_ms || asked_ms - now_ms > COMMAND_LIFE_MAX_MS)
		return false;
	*expires_ms = asked_ms;
	return true;
}

bool
command_is_locked(const struct command *command, int64_t now_ms)
{
	/* A lock that ends too late was made before the clock went back: it would hold for as long as the clock was wrong. */
	return command->locked_until_ms > now_ms && command->locked_until_ms <= now_ms + COMMAND_LOCK_MS;
}

enum command_end
command_judge(const struct command *command, int64_t now_ms)
{
	if (command_is_locked(command, now_ms))
		return COMMAND_LIVES;
	if (command->expires_ms <= now_ms)
		return COMMAND_EXPIRED;
	return command->n_deliveries >= COMMAND_DELIVERIES_MAX ? COMMAND_DELIVERY_COUNT_EXCEEDED : COMMAND_LIVES;
}

bool
command_is_reported(enum command_ack ack, enum command_end end)
{
	if (end == COMMAND_LIVES)
		return false;
	return (ack & (end == COMMAND_SUCCESS ? COMMAND_ACK_POSITIVE : COMMAND_ACK_NEGATIVE)) != 0;
}

const char *
command_end_name(enum command_end end)
{
	return end_names[end];
}

static void
put(struct buf *out, const char *name, struct slice value)
{
	OWN_TEXT text = slice_text(value);

	if (value.len > 0)
		property_put(out, name, text);
}

static void
put_to(struct buf *out, const struct command *c)
{
	CLEAR(buf) to = BUF_INIT(TO_MAX);

	buf_putf(&to, "/devices/%.*s", SLICE_FMT(c->device_id));
	if (c->module_id.len > 0)
		buf_putf(&to, "/modules/%.*s", SLICE_FMT(c->module_id));
	buf_puts(&to, "/messages/devicebound");
	property_put(out, "$.to", buf_text(&to));
}

void
command_put_bag(struct buf *out, const struct command *c)
{
	char when[CLOCK_TEXT_LEN];

	put(out, "$.mid", c->message_id);
	put_to(out, c);
	if (c->has_expiry)
		property_put(out, "$.exp", clock_text_ms(c->expires_ms, when));
	put(out, "$.cid", c->correlation_id);
	put(out, "$.uid", c->user_id);
	put(out, "$.ct", c->content_type);
	put(out, "$.ce", c->content_encoding);
	if (c->ack != COMMAND_ACK_NONE)
		property_put(out, "iothub-ack", command_ack_name(c->ack));
	if (c->properties.len > 0) {
		buf_putc(out, '&');
		buf_put(out, c->properties.text, c->properties.len);
	}
}
