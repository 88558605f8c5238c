/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside heads: what every head's session begins with, so that the back end and the directory can reach it without knowing its protocol.  conn_user of a head's
 * connection is a struct head_session. */

#include "heads/head.h"

struct head_session_ops {
	void (*close)(struct head_session *session, enum reason reason);
	bool (*publish)(struct head_session *session, const char *topic, const void *payload, size_t len);
};

struct head_session {
	const struct head_session_ops *ops;
	struct conn *conn;
};
