/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Many messages in one request (hub 2.1): [{"body":"<base64>","properties":{"iothub-app-k":"v"}},...]; with "base64Encoded":false the body is the text itself.  All of
 * them are read, or none. */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define MESSAGE_BATCH_MAX (256 * 1024)	    /* payloads and properties together */
#define MESSAGE_BATCH_TEXT_MAX (512 * 1024) /* as JSON: base64 is a third more */
#define MESSAGE_BATCH_MESSAGES_MAX 1000

struct batched_message {
	struct buf bag, payload;
};
struct message_batch {
	struct batched_message *message;
	size_t n;
};
/* Nothing to clear when it fails; ERR_LIMIT: it is too large. */
int message_batch_parse(struct message_batch *out, const void *text, size_t len, struct err *err);
void message_batch_clear(struct message_batch *batch);
