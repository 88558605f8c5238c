/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside heads: what every head's session begins with, so that the back end and the directory can reach it without knowing its protocol.  conn_user of a
 * connection in the directory is a struct head_session.  The handles that a back end answers have their head's function in front. */

#include "heads/head.h"

struct head_session_ops {
	void (*close)(struct head_session *session, enum reason reason);
	unsigned (*wants)(const struct head_session *session);
	bool (*desired)(struct head_session *session, int64_t version, const void *patch, size_t len);
	bool (*method)(struct head_session *session, const char *name, const char *rid, const void *payload, size_t len);
	bool (*deliver)(struct head_session *session, const struct head_command *command);
	void (*forget)(struct head_session *session, uint64_t command_id);
};

struct head_admission {
	/* Frees itself.  domain is the back end's when it was accepted, else NULL. */
	void (*answer)(struct head_admission *admission, bool accepted, void *domain, int64_t expires);
	void (*unavailable)(struct head_admission *admission);
	void (*restore)(struct head_admission *admission, const char *filter, uint8_t qos); /* NULL: nothing is kept */
};

struct head_ack {
	void (*done)(struct head_ack *ack, enum reason why);
};

struct head_receipt {
	void (*received)(struct head_receipt *receipt, const struct head_parcel *parcel);
	void (*unavailable)(struct head_receipt *receipt);
};

struct head_settlement {
	void (*settled)(struct head_settlement *settlement, bool found);
	void (*unavailable)(struct head_settlement *settlement);
};

struct head_session {
	const struct head_session_ops *ops;
	struct conn *conn;
	void *domain; /* the back end's, from head_admit to ops->end */
};
