/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What faults on purpose (faults.h) do to a session: acknowledgements that come late, and connections that break.  On the session's loop. */

#include "heads/head.h"
#include "hub/faults.h"
#include "hub/events/marks.h"

/* Store a message whose acknowledgement waits once more after it is durable. */
void hub_faults_store(struct faults *faults, struct marks *marks, struct loop *loop, struct message_lane *lane,
	const struct message *message, struct head_ack *ack);
/* This connection of a session breaks some time from now, or not; faults may be NULL. */
void hub_faults_disconnect(struct faults *faults, struct conn *conn);
