/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A command, that is a cloud-to-device message, and the rules of its life (hub 1.7): enqueued, locked while a device has it, then completed or
 * dead-lettered; who sent it hears of that when it asked to.  Pure: the time comes in as milliseconds of the wall clock. */

#include "base/buf.h"
#include "base/rd.h"

#define COMMAND_PENDING_MAX 50 /* of one device or module */
#define COMMAND_SIZE_MAX (64 * 1024)
#define COMMAND_LOCK_MS (60 * 1000)
#define COMMAND_DELIVERIES_MAX 10
#define COMMAND_LIFE_MS (60 * 60 * 1000) /* unless its sender says otherwise */
#define COMMAND_LIFE_MAX_MS (2 * 24 * 60 * 60 * 1000)

/* What its sender wants to hear of: bits. */
enum command_ack { COMMAND_ACK_NONE, COMMAND_ACK_POSITIVE, COMMAND_ACK_NEGATIVE, COMMAND_ACK_FULL };

enum command_end {
	COMMAND_LIVES,
	COMMAND_SUCCESS,
	COMMAND_EXPIRED,
	COMMAND_DELIVERY_COUNT_EXCEEDED,
	COMMAND_REJECTED,
	COMMAND_PURGED,
	COMMAND_END_COUNT
};

struct command {
	struct slice device_id, module_id; /* module_id empty: a device; borrowed, like all of it */
	struct slice message_id, correlation_id, user_id, content_type, content_encoding; /* empty when absent */
	int64_t sequence, enqueued_ms; /* the sequence is the store's, and grows with each command of the hub */
	struct slice payload;
	struct slice properties;	     /* of the application: an encoded bag, or empty */
	bool has_expiry;		     /* its sender gave one, which the device is told */
	int64_t expires_ms, locked_until_ms; /* locked_until_ms 0: never delivered, or given back */
	int n_deliveries;
	enum command_ack ack;
};

/* "none", "positive", "negative", "full" in any case; NULL is none.  false: nothing of that. */
bool command_ack_parse(const char *text, enum command_ack *out);
const char *command_ack_name(enum command_ack ack);

/* When a command ends that is sent now.  asked_ms 0: nothing was asked.  false: in the past, or more than two days off. */
bool command_expiry(int64_t asked_ms, int64_t now_ms, int64_t *expires_ms);

/* COMMAND_LIVES, or why it is not delivered any more.  A device that has it locked may still complete it: a command ends here only while nobody has it. */
enum command_end command_judge(const struct command *command, int64_t now_ms);
bool command_is_locked(const struct command *command, int64_t now_ms);

bool command_is_reported(enum command_ack ack, enum command_end end); /* to its sender, in the feedback */
const char *command_end_name(enum command_end end); /* the statusCode of a feedback record; NULL for a command that lives */

/* Append the bag of its topic (hub 1.7), as all SDKs read it: the dollar is encoded, `to` is always there. */
void command_put_bag(struct buf *out, const struct command *command);
