/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Calls to what lies beyond this box: the hub (or the parent gateway in its place) and provisioning.  One patience for a call with all its attempts, the same judgement of servers, and
 * a sentence about this device's clock where that may be why a token was refused.  A proxy comes from the environment (http_proxy.h).  Calls block; any thread. */

#include <pthread.h>
#include <stdatomic.h>

#include "identityd/cloud_roots.h"
#include "net/http_client.h"

#define CLOUD_TIMEOUT_S 70 /* the original's default, and its least */

struct cloud {
	struct cloud_roots roots;
	int64_t timeout_s;
	int64_t retries; /* after failures to connect, of who has no reason to make none */
	atomic_bool stopping;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int last_cause; /* of the verdict about a server; -1: none yet */
};

/* Its roots are opened by the caller, before it is used. */
void cloud_init(struct cloud *cloud);
void cloud_stop(struct cloud *cloud); /* calls and pauses end soon */
void cloud_clear(struct cloud *cloud);

/* As http_fetch_json, with the anchors and the time filled in, and tried again so often when no connection could be made.  answer->status 0: nobody answered. */
int cloud_fetch(struct cloud *cloud, json_t **out, struct http_answer *answer, struct http_call *call, const json_t *body,
	int64_t retries, struct err *err);
/* False: it is time to stop. */
bool cloud_pause(struct cloud *cloud, int64_t ms);
