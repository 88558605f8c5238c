/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The interface between the device-facing protocol heads (MQTT now; HTTP, WebSocket and AMQP later) and what stands behind them: the hub or
 * a gateway.  A head knows MQTT and asks for what it needs through struct head_ops; the domain never knows a head.
 *
 * Every operation completes through its call, at once or later, on the loop of the connection: the domain calls the head_*_done function from
 * there (posting itself over if it must).  A call whose connection died is completed all the same; the head has forgotten it by then and does nothing. */

#include "auth/decide.h"
#include "auth/identity.h"
#include "base/rd.h"
#include "diag/verdict.h"
#include "net/conn.h"

struct head;	     /* a protocol on a listener, with its back end */
struct head_session; /* one authenticated identity on one connection */

/* -- Let in? ----------------------------------------------------------------------------------------------------------------- */
struct head_hello {
	struct loop *loop;
	const char *device_id, *module_id;			/* copied from the user name; checked for their alphabet */
	const char *auth_chain, *model_id, *host, *client_type; /* NULL when absent */
	const char *token;					/* NULL when absent */
	const struct certs *chain;
	bool resumed;
	const char *peer; /* address, for the log */
	bool clean_session;
};
struct head_admission; /* the head's handle of this question, valid until it is answered */

/* Answer: the verdict (taken) and, when accepted, a session context of the back end (`domain`), which is given back by ops->end.  `expires` is when the
 * token ends (0: never).  `n_filters` kept subscriptions of the identity are restored. */
void head_admit(struct head_admission *admission, struct verdict *verdict_take, struct identity *identity_take, void *domain,
	int64_t expires);
void head_admit_unavailable(struct head_admission *admission); /* CONNACK 3 */

/* -- Telemetry ---------------------------------------------------------------------------------------------------------------- */
struct head_message {
	struct slice bag; /* the property bag as sent, still encoded */
	struct slice payload;
	bool retain, dup, is_will;
};
struct head_ack; /* the head's handle of one message that must be acknowledged */
/* Durable now (ok), or refused / failed (not ok: the connection is closed without PUBACK).  On the loop of the session. */
void head_message_done(struct head_ack *ack, bool ok);

struct head_ops {
	/* Who is this?  Answer with head_admit. */
	void (*admit)(void *backend, const struct head_hello *hello, struct head_admission *admission);
	/* Store this.  The slices are borrowed for the call.  `ack` is NULL for a will. */
	void (*message)(void *backend, void *domain, struct head_session *session, const struct head_message *message,
		struct head_ack *ack);
	/* Subscriptions changed: the whole list, for an identity that keeps them (clean session 0); durable when it returns is not demanded.  May be NULL: none are
	 * kept. */
	void (*subscriptions)(void *backend, void *domain, const char *const *filters, const uint8_t *qos, size_t n);
	/* A rule of the protocol was broken, and the connection is being closed for it: to be logged and counted.  `who` is the identity, or the peer's address
	 * before it is known.  May be NULL. */
	void (*violation)(void *backend, const char *who, enum reason reason, const char *detail);
	/* The session ended; `clean`: by DISCONNECT.  `domain` is not used after this. */
	void (*end)(void *backend, void *domain, struct head_session *session, bool clean);
};

/* What the back end can do with a session, on its loop. */
struct conn *head_session_conn(struct head_session *session);
void head_session_close(struct head_session *session, enum reason reason);
/* Kept subscriptions, given before head_admit. */
void head_admission_restore(struct head_admission *admission, const char *const *filters, const uint8_t *qos, size_t n);
/* Publish to the device if it has subscribed to a matching filter; false: it has not. */
bool head_session_publish(struct head_session *session, const char *topic, const void *payload, size_t len);

/* -- The sessions of a back end: newest wins ----------------------------------------------------------------------------------
 * One directory for all loops, in shards by the hash of the name, each with its own lock: it is taken once a connection, never for a message. */
struct directory;
struct directory *directory_new(void);
void directory_free(struct directory *directory);
/* Claim `name` for this connection: an older holder is closed with SESSION_TAKEN_OVER, on its own loop. */
void directory_claim(struct directory *directory, const char *name, struct loop *loop, uint64_t conn_id);
void directory_release(struct directory *directory, const char *name, uint64_t conn_id);
/* Close whoever holds it (disabled, deleted, credential changed), from any thread. */
void directory_close(struct directory *directory, const char *name, enum reason reason);
bool directory_is_connected(struct directory *directory, const char *name); /* any thread; may be out of date at once */
size_t directory_count(struct directory *directory);
