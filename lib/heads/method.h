/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Direct methods (hub 1.10): the bridge between a service that calls and the device's session, which are on loops of their own.  A call waits for the device, if it
 * is asked to, is sent once, and is answered once: by the device, by the end of its session, or by the clock. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "auth/identity.h"
#include "base/rd.h"
#include "heads/head.h"
#include "net/loop.h"

#define METHOD_PAYLOAD_MAX (128 << 10) /* both ways */
#define METHOD_NAME_MAX 256
#define METHODS_PER_DEVICE_MAX 24 /* payloads of all of them stay below what a connection may hold for a slow reader */
#define METHODS_MAX 4096

enum method_answer {
	METHOD_DONE,
	METHOD_NOT_ONLINE, /* not connected, or not listening, within the time */
	METHOD_TIMED_OUT,  /* sent and not answered within the time */
	METHOD_CLOSED,	   /* the session that it was sent to has ended */
	METHOD_GONE,	   /* who came is another: the device was deleted and made again */
	METHOD_BAD_RESULT, /* what the device sent is not JSON */
	METHOD_TOO_LARGE,  /* what the device sent is */
	METHOD_ANSWER_COUNT,
};
/* What HTTP says of each but METHOD_DONE, where the hub's own codes are not asked for. */
struct method_failure {
	int status;
	const char *sentence;
};
extern const struct method_failure method_failures[METHOD_ANSWER_COUNT];

struct method_call {
	/* The question; owned. */
	struct identity *identity;
	char *name, *payload;		 /* the payload is JSON text */
	int64_t connect_ms, response_ms; /* how long to wait for the device, 0: not at all; and for its answer */

	/* The answer. */
	enum method_answer answer;
	int status;
	json_t *result;

	void (*done)(struct method_call *call); /* on the loop it was submitted on, never within that */

	/* The bridge's own. */
	struct methods *methods;
	struct loop *loop;
	struct method_call *next;
	struct head_session *session; /* NULL: not sent */
	struct timer timer;
	struct post post;
	char rid[20];
	int64_t due_ms, connect_until_ms;
	bool is_over;
};
void method_call_clear(struct method_call *call);

struct methods;
/* The directory is borrowed.  `trusted` is asked on a session's loop: who it is, or NULL when that is no longer trusted and its session is being closed. */
struct methods *methods_new(struct directory *directory, const struct subject *(*trusted)(struct head_session *session));
/* Everybody who waits is answered: once the loops have stopped, and before they are freed. */
void methods_stop(struct methods *methods);
void methods_free(struct methods *methods);

/* On `loop`.  false: as many as there may be are on their way to this device, or to all. */
bool methods_submit(struct methods *methods, struct method_call *call, struct loop *loop);

/* On the loop of the session: it listens to methods now; what a device answered, which is overlooked unless that was asked of it and is still open; the session
 * has ended. */
void methods_on_ready(struct methods *methods, struct head_session *session, const struct subject *subject);
void methods_on_answer(struct methods *methods, const struct subject *subject, struct slice rid, int status, struct slice payload);
void methods_on_end(struct methods *methods, struct head_session *session, const struct subject *subject);
