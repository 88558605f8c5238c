/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The SQL of commands: one table for the queues of all devices and modules, so that nothing is in memory for those without any.  On the registry's
 * worker, like all that writes; what is answered is durable, unless the caller has a transaction open. */

#include "hub/commands/command.h"
#include "hub/registry/registry_store.h"

int command_store_count(struct registry_store *store, const char *device_id, const char *module_id, int64_t *n, struct err *err);
/* As it is enqueued: its lock and its deliveries are not looked at. */
int command_store_add(struct registry_store *store, const struct command *command, int64_t *sequence, struct err *err);
/* `each` borrows, and writes nothing; lock_token NULL: none, or the lock is a session's.  false: that was enough. */
typedef bool command_store_row(void *arg, const struct command *command, const char *lock_token);
/* The commands of one queue in order. */
int command_store_pending(struct registry_store *store, const char *device_id, const char *module_id, command_store_row *each,
	void *arg, struct err *err);
/* The one of this queue with this lock token, or with lock_token NULL this sequence. */
int command_store_find(struct registry_store *store, const char *device_id, const char *module_id, const char *lock_token,
	int64_t sequence, command_store_row *each, void *arg, struct err *err);
/* Those of all queues that have ended by the clock or by their deliveries, or will when their lock does. */
int command_store_overdue(struct registry_store *store, int64_t now_ms, command_store_row *each, void *arg, struct err *err);
/* How many each queue has that is not empty. */
typedef void command_store_queue(void *arg, const char *device_id, const char *module_id, int64_t n);
int command_store_queues(struct registry_store *store, command_store_queue *each, void *arg, struct err *err);
/* One more delivery, under a lock; lock_token NULL: a session's. */
int command_store_lock(struct registry_store *store, int64_t sequence, const char *lock_token, int64_t until_ms, struct err *err);
/* Given back; `unsent`: that was no delivery. */
int command_store_unlock(struct registry_store *store, int64_t sequence, bool unsent, struct err *err);
/* All that a session of this identity had locked. */
int command_store_release(struct registry_store *store, const char *device_id, const char *module_id, struct err *err);
int command_store_remove(struct registry_store *store, int64_t sequence, struct err *err);
/* All of one queue; with module_id NULL those of the device and of all its modules. */
int command_store_forget(struct registry_store *store, const char *device_id, const char *module_id, int64_t *n, struct err *err);
