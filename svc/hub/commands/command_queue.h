/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The queues of commands of all devices and modules (hub 1.7): calls, one after the other on the registry's worker, each durable before it is answered.  In
 * memory is a number for each queue that is not empty, so that who asks "is there anything?" asks no database. */

#include "hub/commands/command.h"
#include "hub/registry/registry.h"
#include "net/loop.h"

struct command_queue;
struct command_queue *command_queue_open(struct registry *registry, struct err *err); /* borrowed */
void command_queue_close(struct command_queue *queue);				      /* after the worker */
/* From now on what expires ends also where nobody asks; before the loop runs. */
void command_queue_start(struct command_queue *queue, struct loop *loop);

/* Told on the worker, when it is durable, that a queue has something to hand out that it had not before.  Set before the hub serves. */
void command_queue_watch(
	struct command_queue *queue, void (*ready)(void *arg, const char *device_id, const char *module_id), void *arg);
/* On the worker: the identity was removed, and its commands with it. */
void command_queue_forget(struct command_queue *queue, const char *device_id, const char *module_id);
/* How many are pending, locked ones included; any thread. */
size_t command_queue_count(struct command_queue *queue, const char *device_id, const char *module_id);

/* -- Calls ------------------------------------------------------------------------------------------------------------------------- */
enum command_op { COMMAND_ADD, COMMAND_TAKE, COMMAND_SETTLE, COMMAND_PURGE };

enum command_answer {
	COMMAND_OK,
	COMMAND_NO_DEVICE,
	COMMAND_NO_MODULE,
	COMMAND_QUEUE_FULL,
	COMMAND_BAD_EXPIRY,
	COMMAND_TOO_LARGE,
	COMMAND_LOCK_LOST,
	COMMAND_FAILED, /* the database; err has the sentence */
	COMMAND_ANSWER_COUNT,
};

/* A command on its way to the device. */
struct command_parcel {
	int64_t sequence, enqueued_ms, expires_ms; /* expires_ms 0: its sender said nothing about it */
	int n_deliveries;			   /* with this one */
	char *lock_token, *bag;			   /* lock_token NULL: a session's */
	uint8_t *payload;
	size_t len;
};

enum command_outcome { COMMAND_COMPLETE, COMMAND_REJECT, COMMAND_ABANDON, COMMAND_UNSENT /* that was no delivery */ };

struct command_call {
	/* The question; all texts but the command are owned. */
	enum command_op op;
	char *device_id, *module_id; /* module_id NULL: the device's own */
	char *generation_id;	     /* TAKE and SETTLE, when the device itself asks: it must still be that one */
	struct command command;	     /* ADD: what its sender says; borrowed until `done`; expires_ms 0: nothing was asked */
	size_t max;		     /* TAKE: no more than these */
	bool is_session;	     /* TAKE: locked without a token, for who settles by the sequence */
	bool is_first;		     /* TAKE: what an earlier session has locked is free */
	char *lock_token;	     /* SETTLE: by this or, when it is NULL, by the sequence; a sequence needs no lock any more */
	int64_t sequence;	     /* of ADD the answer */
	enum command_outcome outcome;
	int n_deliveries; /* SETTLE: only what was delivered so many times; 0: however many */

	/* The answer. */
	enum command_answer answer;
	struct err err;
	struct command_parcel *parcels; /* TAKE: in order; none: there is nothing now */
	size_t n_parcels;
	int64_t next_ms;  /* TAKE: of no more than there were, when the next lock ends; 0: nothing is locked */
	int64_t n_purged; /* PURGE */

	void (*done)(struct command_call *call); /* on the owner it was submitted for */
	struct command_queue *queue;
	struct work *work;
	struct registry_step step;
};
void command_call_clear(struct command_call *call);
/* false: too much waits already. */
bool command_queue_submit(struct command_queue *queue, struct command_call *call, struct owner *owner);
/* The same at once, on this thread: for the worker itself and for tests. */
void command_queue_run(struct command_queue *queue, struct command_call *call);
/* End what has expired or was delivered too often; the same. */
void command_queue_sweep(struct command_queue *queue);
