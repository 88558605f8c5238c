/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Commands on their way to the sessions of their devices (hub 1.7): pushed in order to who listens, settled by what the device says, sent again when it says nothing
 * within the lock or connects anew. */

#include "heads/head.h"
#include "hub/commands/command_queue.h"

enum command_outcome command_outcome_of(enum head_outcome outcome);

struct command_sessions;
/* Watches the queue from now on; both are borrowed. */
struct command_sessions *command_sessions_new(struct command_queue *queue, struct directory *directory);
void command_sessions_free(struct command_sessions *sessions); /* after the loops */

/* What each session has of this, zero at its beginning. */
struct courier;
struct command_slot {
	struct courier *courier; /* NULL: nothing is on its way */
	int64_t from_ms;	 /* by the boot clock: not pushed before */
	bool has_taken;		 /* something, since it is connected */
};

/* On the loop of the session, whose trust was just looked at. */
void command_sessions_on_live(struct command_sessions *sessions, struct head_session *session, const struct subject *subject);
void command_sessions_on_wants(
	struct command_sessions *sessions, struct head_session *session, const struct subject *subject, unsigned wants);
void command_sessions_on_settled(struct command_sessions *sessions, struct head_session *session, const struct subject *subject,
	uint64_t command_id, enum head_outcome outcome);
void command_sessions_on_end(struct head_session *session);
