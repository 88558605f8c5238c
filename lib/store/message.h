/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One message of a device as the event log keeps it, at the hub (an event) and in a gateway's queue.  A versioned binary record; slices of a
 * decoded message borrow the record. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rd.h"

enum message_source { MESSAGE_TELEMETRY = 1, MESSAGE_TWIN_CHANGE, MESSAGE_LIFECYCLE, MESSAGE_CONNECTION };

struct message {
	enum message_source source;
	int64_t enqueued_ms;		   /* wall clock */
	struct slice device_id, module_id; /* module_id empty: a device */
	struct slice generation_id;
	struct slice auth_method; /* the JSON text of hub 1.6 */
	struct slice model_id;
	struct slice bag; /* properties as sent: an encoded bag */
	struct slice payload;
	bool retain, dup, is_will;
};
void message_encode(struct buf *out, const struct message *message);
int message_decode(struct message *out, const uint8_t *data, size_t len, struct err *err);
/* For people and programs: JSON with systemProperties, properties, annotations (hub 1.6) and the body as text, JSON or base64.  offset is the log's. */
char *message_json(const struct message *message, uint64_t offset);
