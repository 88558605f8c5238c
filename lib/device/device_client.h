/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The device side of the hub's MQTT protocol (hub 1.2 to 1.10): one connection of one identity, to a hub or a gateway.  It connects once, with a
 * certificate or a token, publishes, tells what was acknowledged, listens and asks; whether and when to connect again is device_link's business.  Lives on one loop. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rd.h"
#include "diag/verdict.h"
#include "net/loop.h"
#include "net/tls.h"

#define DEVICE_CLIENT_IN_FLIGHT_MAX 4096
#define DEVICE_QUESTIONS_MAX 16 /* open at a time */
#define DEVICE_METHOD_NAME_MAX 256
#define DEVICE_NO_ANSWER 0 /* in the place of a status */

struct device_client;
struct conn_carrier; /* of net/strand.h */

enum device_client_end {
	DEVICE_CLIENT_CLOSED,	   /* by device_client_close */
	DEVICE_CLIENT_UNREACHABLE, /* no connection, or it was lost */
	DEVICE_CLIENT_UNTRUSTED,   /* we don't trust the server: see the verdict */
	DEVICE_CLIENT_REFUSED,	   /* the server does not let us in: see the code of CONNACK */
	DEVICE_CLIENT_NOT_TRIED, /* device_link: no token, or what would carry it was lost meanwhile; says nothing about the server */
};

struct device_client_ops {
	void (*on_connected)(struct device_client *client, void *user);
	void (*on_acked)(struct device_client *client, void *user, uint64_t cookie);
	/* The last call; the client is gone after it.  `why` is a sentence; code is CONNACK's, 0 otherwise. */
	void (*on_end)(struct device_client *client, void *user, enum device_client_end end, uint8_t code, const char *why);
	/* The verdict about the server, as soon as there is one; borrowed.  May be NULL. */
	void (*on_verdict)(struct device_client *client, void *user, const struct verdict *verdict);
};

/* What may be listened to.  Answers about the twin are a subscription as well: it comes before the first question. */
enum device_wants { DEVICE_WANTS_COMMANDS = 1, DEVICE_WANTS_DESIRED = 2, DEVICE_WANTS_METHODS = 4, DEVICE_WANTS_ANSWERS = 8 };

/* What the server tells.  All is borrowed for the call; any of them may be NULL. */
struct device_told_ops {
	/* All that device_client_listen asked for is decided: the server grants these. */
	void (*on_listening)(void *user, unsigned granted);
	void (*on_desired)(void *user, int64_t version, struct slice patch);
	/* Answer it with device_client_answer_method, by its rid. */
	void (*on_method)(void *user, const char *name, const char *rid, struct slice payload);
	/* A cloud-to-device message: the server sends it again until device_client_settle.  `id` 0: there is nothing to settle. */
	void (*on_command)(void *user, uint64_t id, struct slice bag, struct slice payload);
	/* What was asked with this cookie; status DEVICE_NO_ANSWER when none came in time.  Questions that are open when the connection ends are not answered. */
	void (*on_twin)(void *user, uint64_t cookie, int status, int64_t version, struct slice body);
};

struct device_client_config {
	const char *host, *connect_to; /* the name that the server must prove; where TCP goes instead (NULL: host) */
	int port;
	const char *hub_host; /* in the user name */
	const char *device_id, *module_id;
	const char *auth_chain; /* "device;...;gateway", of a gateway that speaks for the device; or NULL */
	const char *model_id;	/* of its digital twin; or NULL */
	const char *token;	/* NULL with a certificate in tls */
	struct tls_client *tls;
	/* The connection that carries this one as a strand, as it is when it connects, NULL when it was lost meanwhile; for a connection of its own the function is NULL. */
	struct conn_carrier *(*carrier)(void *arg);
	void *carrier_arg;
	const char *who;		    /* judges the server, in the verdict: "device", "gateway" */
	uint16_t keep_alive_s;		    /* 0: 180 */
	bool has_neighbours;		    /* others on its loop, who do not wait for its handshake */
	bool keep_session;		    /* MQTT's clean session 0 */
	size_t max_in_flight;		    /* 0: 256 */
	int64_t answer_within_ms;	    /* for TCP and TLS, and again for CONNACK, and for a question; 0: 30 s */
	const struct device_told_ops *told; /* NULL: nothing is listened to, and nothing asked */
	void *told_user;
	uint32_t
		serial; /* of this connection among its owner's: a command is settled on the connection that brought it, or not at all */
};

/* All of config is copied or referenced. */
struct device_client *device_client_connect(struct loop *loop, const struct device_client_config *config,
	const struct device_client_ops *ops, void *user, struct err *err);

struct device_message {
	struct slice bag; /* an encoded property bag */
	struct slice payload;
	uint8_t qos; /* 0 or 1 */
	bool retain;
};
bool device_client_may_publish(
	const struct device_client *client); /* connected, and neither too much in flight nor too much to be sent */
size_t device_client_in_flight(const struct device_client *client);
/* Telemetry; at QoS 1 cookie comes back with the acknowledgement.  Only when device_client_may_publish.  False: MQTT has no room for it, and nothing was sent. */
bool device_client_publish(struct device_client *client, const struct device_message *message, uint64_t cookie);

/* Listen to these from now on, bits of enum device_wants: what is new is subscribed to, what is missing is not any more.  Once connected. */
void device_client_listen(struct device_client *client, unsigned wants);

/* Questions about the twin.  False: too many are open, or answers are not listened to (yet). */
bool device_client_get_twin(struct device_client *client, uint64_t cookie);
bool device_client_report(struct device_client *client, struct slice patch, uint64_t cookie);
size_t device_client_open_questions(const struct device_client *client);

/* False: it could not be sent. */
bool device_client_answer_method(struct device_client *client, const char *rid, int status, struct slice payload);
void device_client_settle(struct device_client *client, uint64_t id);

/* What `tls` says of the server by the certificates that it showed; NULL: it has shown none so far.  The caller owns it. */
struct verdict *device_client_judge(const struct device_client *client, const struct tls_client *tls, const char *host);
void device_client_break(struct device_client *client, const char *why); /* without a word to the server; on_end follows */
void device_client_close(struct device_client *client);			 /* says DISCONNECT; on_end follows */
void device_client_leave(struct device_client *client);			 /* the same, but nothing is called any more */
