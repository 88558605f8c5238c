/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Commands for devices that ask for them one by one (hub 2.2), each under a lock by which the device speaks of it. */

#include "heads/head.h"
#include "hub/commands/command_queue.h"

/* On the loop of the session, whose trust was just looked at. */
void command_requests_receive(
	struct command_queue *queue, struct head_session *session, const struct subject *subject, struct head_receipt *receipt);
void command_requests_settle(struct command_queue *queue, struct head_session *session, const struct subject *subject,
	const char *lock_token, enum head_outcome outcome, struct head_settlement *settlement);
