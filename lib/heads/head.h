/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The interface between the device-facing protocol heads (MQTT, HTTP; AMQP later) and what stands behind them: the hub or
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
	bool is_request; /* no session: some requests of a connection.  It claims no identity, has no kept subscriptions and is never live */
};
struct head_admission; /* the head's handle of this question, valid until it is answered */

/* Answer: the verdict (taken) and, when accepted, a session context of the back end (`domain`), which is given back by ops->end.  `expires` is when the
 * token ends (0: never).  `n_filters` kept subscriptions of the identity are restored. */
void head_admit(struct head_admission *admission, struct verdict *verdict_take, struct identity *identity_take, void *domain,
	int64_t expires);
void head_admit_unavailable(struct head_admission *admission); /* CONNACK 3, 503 */

/* -- Telemetry ---------------------------------------------------------------------------------------------------------------- */
struct head_message {
	struct slice bag; /* the property bag as sent, still encoded */
	struct slice payload;
	bool retain, dup, is_will;
};
struct head_ack; /* the head's handle of one message, or list of subscriptions, that must be acknowledged */
/* Durable now (OK), or why it never will be: MQTT closes the connection for that reason, without PUBACK, HTTP answers 503.  On the loop of the session. */
void head_message_done(struct head_ack *ack, enum reason why);

/* -- Questions of a device about its twin (hub 1.9), and for a certificate (hub 1.11) ----------------------------------------- */
struct head_request {
	enum head_question { HEAD_TWIN_GET, HEAD_TWIN_REPORT, HEAD_ISSUE_CERT } kind;
	struct slice if_version; /* a report: the text of the version that it must meet, or empty */
	struct slice body;
};
struct head_call; /* the head's handle of one question, valid until it is answered */
/* On the loop of the session.  version 0: none is told.  An error has a JSON body with errorCode and message, or clients fail on it (clients-observed 3). */
void head_answer(struct head_call *call, int status, int64_t version, const void *body, size_t len);

/* It takes a while: status 202 on the way to the answer. */
void head_answer_accepted(struct head_call *call, const void *body, size_t len);

/* Who asked, on its loop; NULL when that session has ended: the answer goes nowhere then. */
struct head_session *head_call_session(struct head_call *call);

/* -- Commands: cloud-to-device messages (hub 1.7), and at a gateway what goes to an input of a module (hub 1.8) -------------------- */
struct head_command {
	uint64_t id; /* the back end's, unique among what this session has not settled */
	struct slice bag, payload;
	const char *input; /* of a module (hub 1.8): it goes there; NULL: a cloud-to-device message */
};
enum head_outcome { HEAD_COMPLETED, HEAD_REJECTED, HEAD_ABANDONED };

/* The same for a device that asks, one at a time: it is locked for the one who got it, and the lock is how that one speaks of it. */
struct head_parcel {
	const char *lock_token;
	uint64_t sequence;
	int n_deliveries;
	int64_t enqueued_ms, expires_ms;
	struct slice bag, payload;
};
struct head_receipt;								    /* the head's handle of one such question */
void head_received(struct head_receipt *receipt, const struct head_parcel *parcel); /* NULL: nothing waits.  Borrowed */
void head_receive_unavailable(struct head_receipt *receipt);
struct head_settlement;						   /* and of one outcome that is told */
void head_settled(struct head_settlement *settlement, bool found); /* durable; or nobody holds that lock (any more) */
void head_settle_unavailable(struct head_settlement *settlement);

/* -- What the session listens to: its subscriptions, kept ones included --------------------------------------------------------------- */
enum head_wants {
	HEAD_WANTS_COMMANDS = 1,
	HEAD_WANTS_DESIRED = 2,
	HEAD_WANTS_METHODS = 4,
	HEAD_WANTS_INPUTS = 16,
	HEAD_ASKED_COMMANDS = 8, /* only told to ops->wants: it has asked for commands just now, on this connection */
};

struct head_ops {
	/* Who is this?  Answer with head_admit. */
	void (*admit)(void *backend, const struct head_hello *hello, struct head_admission *admission);
	/* Store this.  The slices are borrowed for the call.  `ack` is NULL for a will. */
	void (*message)(void *backend, void *domain, struct head_session *session, const struct head_message *message,
		struct head_ack *ack);
	/* Subscriptions changed: the whole list, for an identity that keeps them (clean session 0).  They are acknowledged when they are durable: their client does not
	 * ask for them again, and would hear nothing any more.  May be NULL: none are kept. */
	void (*subscriptions)(void *backend, void *domain, struct head_session *session, const char *const *filters,
		const uint8_t *qos, size_t n, struct head_ack *ack);
	/* The session is open: from now on the back end may use it, until `end`.  May be NULL. */
	void (*live)(void *backend, void *domain, struct head_session *session);
	/* The device has just said what it listens to, which may be what it did before.  May be NULL. */
	void (*wants)(void *backend, void *domain, struct head_session *session, unsigned wants);
	/* A question of the device: answer it with head_answer, in any order.  The slices are borrowed.  NULL: nothing here answers any. */
	void (*request)(void *backend, void *domain, struct head_session *session, const struct head_request *request,
		struct head_call *call);
	/* The device has carried out a method (head_session_method), or says so.  Borrowed.  May be NULL. */
	void (*method_answer)(void *backend, void *domain, struct slice rid, int status, struct slice payload);
	/* What became of a command (head_session_deliver).  May be NULL. */
	void (*settled)(void *backend, void *domain, struct head_session *session, uint64_t command_id, enum head_outcome outcome);
	/* The oldest command that waits for this identity, locked for it: answer with head_received.  NULL: nothing here has commands. */
	void (*receive)(void *backend, void *domain, struct head_session *session, struct head_receipt *receipt);
	/* What became of it: answer with head_settled.  The token is what the peer sent, borrowed. */
	void (*settle)(void *backend, void *domain, struct head_session *session, const char *lock_token, enum head_outcome outcome,
		struct head_settlement *settlement);
	/* Has nothing changed that let it in?  For who was admitted with is_request: before each request, for nothing can reach it between them. */
	bool (*stands)(void *backend, void *domain);
	/* A rule of the protocol was broken, and the connection is being closed for it: to be logged and counted.  `who` is the identity, or the peer's address
	 * before it was let in.  May be NULL. */
	void (*violation)(void *backend, const char *who, enum reason reason, const char *detail);
	/* What this identity brought by a request was refused, where a session would have been closed for it: to be logged and counted.  May be NULL. */
	void (*refused)(void *backend, const char *who, enum reason reason);
	/* The session ended; `clean`: by DISCONNECT.  `domain` is not used after this. */
	void (*end)(void *backend, void *domain, struct head_session *session, bool clean);
};

/* What the back end can do with a session, on its loop. */
struct conn *head_session_conn(struct head_session *session);
void *head_session_domain(struct head_session *session);
unsigned head_session_wants(struct head_session *session); /* bits of enum head_wants */
void head_session_close(struct head_session *session, enum reason reason);
/* Tell the device; false: it does not listen to that. */
bool head_session_desired(struct head_session *session, int64_t version, const void *patch, size_t len);
bool head_session_method(struct head_session *session, const char *name, const char *rid, const void *payload, size_t len);
/* false also when as many as it may hold are on their way: try again after one was settled. */
bool head_session_deliver(struct head_session *session, const struct head_command *command);
/* Its command is no longer its own: what the device says about it from now on is overlooked. */
void head_session_forget(struct head_session *session, uint64_t command_id);
/* Kept subscriptions, given before head_admit. */
void head_admission_restore(struct head_admission *admission, const char *const *filters, const uint8_t *qos, size_t n);

/* -- The sessions of a back end: newest wins ----------------------------------------------------------------------------------
 * One directory for all loops, in shards by the hash of the name, each with its own lock: it is taken once a connection, never for a message. */
struct directory;
struct directory *directory_new(void);
void directory_free(struct directory *directory);
/* Claim `name` for this connection.  Who held it before is closed with SESSION_TAKEN_OVER, on its own loop, by directory_end_older: when the new session is live, so that
 * there is no moment between the two in which nobody is connected. */
struct directory_older {
	struct loop *loop; /* NULL: there was none */
	uint64_t conn_id;
};
struct directory_older directory_claim(struct directory *directory, const char *name, struct loop *loop, uint64_t conn_id);
void directory_end_older(const struct directory_older *older);
void directory_release(struct directory *directory, const char *name, uint64_t conn_id);
/* Close whoever holds it (disabled, deleted, credential changed), from any thread. */
void directory_close(struct directory *directory, const char *name, enum reason reason);
/* Run `run` on the loop of whoever holds `name`, with its session, or with NULL when that ended meanwhile.  Any thread.  false: nobody holds it, and `run`
 * is not called. */
struct directory_visit {
	void (*run)(struct directory_visit *visit, struct head_session *session);
	struct post post;
	struct loop *loop;
	uint64_t conn_id;
};
bool directory_visit(struct directory *directory, const char *name, struct directory_visit *visit);
bool directory_is_connected(struct directory *directory, const char *name); /* any thread; may be out of date at once */
size_t directory_count(struct directory *directory);
