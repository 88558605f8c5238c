/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside provisioning: a request on its way through the worker. */

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "hub/provisioning/enrollment_groups.h"
#include "hub/provisioning/provisioning.h"
#include "hub/registry/ca.h"
#include "net/conn_websocket.h"

#define PROVISIONING_IDS_MAX 3

struct provisioning {
	struct provisioning_config config;
	char *id_scope;
	struct enrollment_groups groups;
	struct ca_registry *cas;     /* that enrollments refer to */
	struct anchors *hub_anchors; /* that linked hubs are trusted by; NULL: none can be linked */
	struct pool *pool;	     /* where linked hubs and web hooks are asked */
	struct pursuit *running;     /* in the order in which they began */
	atomic_size_t n_running;
	pthread_mutex_t lock; /* of running */
	struct timer timer;
	struct job look; /* for what is due */
	atomic_bool stopping;
	atomic_int n_questions;			/* of devices, that are on their way through the worker */
	struct websocket_service websockets[3]; /* on the port of HTTPS; the last one ends them */
};

struct provisioning_call {
	struct provisioning *provisioning;
	struct http_request *req;
	const struct provisioning_route *route;
	const char *ids[PROVISIONING_IDS_MAX + 1]; /* the segments that stand for one, decoded; the request's */
	struct certs chain;			   /* of a device */
	struct job job;
};

/* A device's question goes to the registry's worker.  Who asks is not known yet, and judging a chain is work: strangers may have a small part of the worker's queue, so that services and the
 * hub's own devices get theirs.  false: too many wait.  Each that goes is over once, on any thread. */
#define PROVISIONING_QUESTIONS_MAX 256
bool provisioning_ask(struct provisioning *provisioning, struct job *job);
void provisioning_asked(struct provisioning *provisioning);

/* On the worker: answers.  right 0: a device's own, which judges by itself. */
typedef void provisioning_handler(struct provisioning_call *call);
struct provisioning_route {
	const char *method, *path;
	unsigned right;
	bool is_group;
	provisioning_handler *handle;
};
extern const struct provisioning_route provisioning_service_routes[], provisioning_registration_routes[],
	provisioning_device_routes[], provisioning_hub_routes[], provisioning_policy_routes[], provisioning_ca_routes[];

bool provisioning_caller_may(struct provisioning_call *call, unsigned right); /* false: answered */
struct db *provisioning_db(const struct provisioning_call *call);
/* {"errorCode", "trackingId", "message", "timestampUtc"} (hub 7); number is the status and three digits. */
json_t *provisioning_error(int number, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
int provisioning_retry_after_s(int number); /* 0: trying again is of no use */
void provisioning_fail(struct provisioning_call *call, int number, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void provisioning_fail_broken(struct provisioning_call *call, const struct err *err); /* the log has it */
json_t *provisioning_body(struct provisioning_call *call);			      /* an object, or NULL: answered */
char *provisioning_if_match(const struct http_request *req); /* "\"AAA=\"" and "AAA=" are the same; NULL: none */
