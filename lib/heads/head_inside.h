/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside heads: what every head's session begins with, so that the back end and the directory can reach it without knowing its protocol.  conn_user of a head's
 * connection is a struct head_session. */

#include "heads/head.h"

struct head_session_ops {
	void (*close)(struct head_session *session, enum reason reason);
	unsigned (*wants)(const struct head_session *session);
	bool (*desired)(struct head_session *session, int64_t version, const void *patch, size_t len);
	bool (*method)(struct head_session *session, const char *name, const char *rid, const void *payload, size_t len);
	bool (*deliver)(struct head_session *session, const struct head_command *command);
};

struct head_session {
	const struct head_session_ops *ops;
	struct conn *conn;
	void *domain; /* the back end's, from head_admit to ops->end */
};
