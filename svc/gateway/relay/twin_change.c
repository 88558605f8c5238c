/* SPDX-License-Identifier: Apache-2.0 */
/* Its properties have the names that the hub's own events have (hub 1.6). */
#include "gateway/relay/twin_change.h"

#include "base/buf.h"
#include "base/clock.h"
#include "wire/property_bag.h"

#define BAG_MAX 4096
#define SCHEMA "twinChangeNotification"

static void
put_bag(struct buf *bag, const struct twin_change *change, int64_t now_ms)
{
	char when[CLOCK_TEXT_LEN];

	property_put(bag, "$.ct", "application/json");
	property_put(bag, "$.ce", "utf-8");
	property_put(bag, "$.schema", SCHEMA);
	property_put(bag, "iothub-message-schema", SCHEMA);
	property_put(bag, "opType", "updateTwin");
	property_put(bag, "operationTimestamp", clock_text_ms(now_ms, when));
	property_put(bag, "deviceId", change->device_id);
	if (change->module_id)
		property_put(bag, "moduleId", change->module_id);
}

bool
twin_change_put(struct queue_lane *lane, const struct twin_change *change, struct queue_storing *storing)
{
	CLEAR(buf) bag = BUF_INIT(BAG_MAX);
	struct message message = {
		.source = MESSAGE_TWIN_CHANGE,
		.enqueued_ms = clock_wall_ms(),
		.device_id = slice_of(change->device_id),
		.module_id = slice_of(change->module_id ? change->module_id : ""),
		.generation_id = slice_of(change->generation_id),
		.payload = slice_of(change->reported),
	};

	storing->sender = queue_sender(lane, message.device_id, message.module_id);
	put_bag(&bag, change, message.enqueued_ms);
	message.bag = (struct slice){ .text = buf_text(&bag), .len = bag.len };
	return queue_put(lane, &message, change->is_own, storing);
}
