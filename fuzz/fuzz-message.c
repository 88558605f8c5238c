/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the event log, which may come from a damaged disk: what is decoded comes back the same, and can be shown. */
#include "fuzz.h"
#include "store/message.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAR(buf) again = BUF_INIT(1 << 20);
	OWN_TEXT shown = NULL;
	struct message message, copy;
	struct err err = ERR_INIT;

	if (message_decode(&message, data, size, &err) < 0)
		return 0;
	message_encode(&again, &message);
	FUZZ_CHECK(again.failed || message_decode(&copy, again.data, again.len, &err) == 0);
	FUZZ_CHECK(again.failed || (copy.enqueued_ms == message.enqueued_ms && copy.expires_ms == message.expires_ms &&
					   fuzz_same(copy.device_id, message.device_id) && fuzz_same(copy.bag, message.bag) &&
					   fuzz_same(copy.payload, message.payload)));
	shown = message_json(&message, &(struct event_place){ .offset = 7 });
	FUZZ_CHECK(shown && strchr(shown, '\n') == NULL);
	return 0;
}
