/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Feedback: what became of commands, for who asked to hear of it (hub 1.7).  Records are durable together with the end that they tell of, and handed out in batches, each
 * under a lock: taken out when it is completed, handed out again when the lock ends first.  What nobody fetches is forgotten after an hour. */

#include <jansson.h>

#include "hub/commands/command.h"
#include "hub/registry/registry.h"

#define FEEDBACK_BATCH_MAX 64
#define FEEDBACK_BATCH_MS (15 * 1000) /* the oldest record waits no longer for a full batch */
#define FEEDBACK_LIFE_MS (60 * 60 * 1000)
#define FEEDBACK_LOCK_MS (60 * 1000)
#define FEEDBACK_RECORDS_MAX 100000

/* On the worker, in the transaction that ends the command. */
struct feedback_record {
	const char *message_id, *device_id, *generation_id;
	enum command_end end;
	int64_t ended_ms;
};
int feedback_store_put(struct registry_store *store, const struct feedback_record *record, struct err *err);
/* Forget what is too old, and too much. */
int feedback_store_trim(struct registry_store *store, int64_t now_ms, struct err *err);

enum feedback_op { FEEDBACK_TAKE, FEEDBACK_COMPLETE, FEEDBACK_ABANDON };
enum feedback_answer { FEEDBACK_OK, FEEDBACK_NOTHING, FEEDBACK_LOCK_LOST, FEEDBACK_FAILED };
struct feedback_call {
	enum feedback_op op;
	char *lock_token; /* owned; TAKE: the answer's */

	enum feedback_answer answer;
	struct err err;
	json_t *records; /* TAKE: the array */

	void (*done)(struct feedback_call *call); /* on the owner it was submitted for */
	struct registry *registry;
	struct job job;
};
void feedback_call_clear(struct feedback_call *call);
/* false: too much waits already. */
bool feedback_submit(struct registry *registry, struct feedback_call *call, struct owner *owner);
void feedback_run(struct registry *registry, struct feedback_call *call); /* at once: for the worker and for tests */
