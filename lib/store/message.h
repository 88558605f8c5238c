/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One message of a device as the event log keeps it, at the hub (an event) and in a gateway's queue.  A versioned binary record; slices of a
 * decoded message borrow the record. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rd.h"
#include "store/event_place.h"

enum message_source { MESSAGE_TELEMETRY = 1, MESSAGE_TWIN_CHANGE, MESSAGE_LIFECYCLE, MESSAGE_CONNECTION };

struct message {
	enum message_source source;
	int64_t enqueued_ms;		   /* wall clock */
	int64_t expires_ms;		   /* a gateway's: not to be passed on after that; 0: for ever */
	struct slice device_id, module_id; /* module_id empty: a device */
	struct slice generation_id;
	struct slice auth_method; /* the JSON text of hub 1.6 */
	struct slice model_id;
	struct slice bag; /* properties as sent: an encoded bag */
	struct slice payload;
	struct slice mark; /* at a hub: which message of which gateway it is (wire/message_mark.h); empty: nobody says */
	bool retain, dup, is_will;
};
void message_encode(struct buf *out, const struct message *message);
int message_decode(struct message *out, const uint8_t *data, size_t len, struct err *err);
/* The partition of all that a device and its modules send, of so many. */
unsigned message_partition(struct slice device_id, unsigned n_partitions);
/* "Telemetry", "twinChangeEvents"; NULL for a number that is none, false for a name that is none. */
const char *message_source_name(enum message_source source);
bool message_source_find(const char *name, enum message_source *source);
/* For people and programs: JSON with where it stands, systemProperties, properties, annotations (hub 1.6) and the body as text, JSON or base64. */
char *message_json(const struct message *message, const struct event_place *place);
