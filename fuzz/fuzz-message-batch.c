/* SPDX-License-Identifier: Apache-2.0 */
/* A batch of messages: what is accepted is within its ceilings, and each bag can be read to its end. */
#include "fuzz.h"
#include "wire/message_batch.h"
#include "wire/property_bag.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message_batch batch;
	struct err err = ERR_INIT;
	size_t sum = 0;

	if (message_batch_parse(&batch, data, size, &err) < 0) {
		FUZZ_CHECK(*err.text && (err.kind == ERR_LIMIT || err.kind == ERR_INVALID));
		return 0;
	}
	FUZZ_CHECK(batch.n > 0 && batch.n <= MESSAGE_BATCH_MESSAGES_MAX);
	for (size_t i = 0; i < batch.n; i++) {
		struct property_bag bag;

		sum += batch.message[i].bag.len + batch.message[i].payload.len;
		property_bag_init(&bag, fuzz_slice(&batch.message[i].bag));
		while (property_bag_next(&bag))
			FUZZ_CHECK(bag.has_value);
		property_bag_clear(&bag);
	}
	FUZZ_CHECK(sum <= MESSAGE_BATCH_MAX);
	message_batch_clear(&batch);
	return 0;
}
