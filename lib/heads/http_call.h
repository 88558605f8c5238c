/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the HTTP head: one request of a device, from its path (http_head.c) to what it does (http_deed.c). */

#include "base/digest.h"
#include "heads/head_inside.h"
#include "heads/http_head.h"

#define HTTP_MESSAGE_MAX (256 * 1024) /* payload and properties (hub 1.6) */

struct http_head {
	struct http_head_config config;
};

/* Who was let in on this connection last. */
struct http_device {
	struct head_session base;
	const struct http_head *head;
	char *name;
	int64_t expires;		     /* 0: never */
	uint8_t evidence[DIGEST_SHA256_LEN]; /* the token's digest */
};

struct http_call;
struct http_deed {
	const char *method, *path;
	void (*run)(struct http_call *call, struct http_device *device);
};

struct http_call {
	const struct http_head *head;
	const struct http_deed *deed;
	struct http_request *req;
	const char *device_id, *module_id, *lock_token;			 /* the request's; module_id NULL: a device */
	size_t n_waiting;						 /* messages that are not yet durable */
	enum reason why;						 /* OK, or why one of them never will be */
	void (*then)(struct http_request *req, void *domain, void *arg); /* of http_head_admit; NULL: it is a device's own */
	void *arg;
	struct head_admission admission;
	struct head_ack ack;
	struct head_receipt receipt;
	struct head_settlement settlement;
};

/* Each frees the call. */
void http_call_answer(struct http_call *call, int status, const char *const *headers, const void *body, size_t len);
void http_call_fail(struct http_call *call, enum http_head_error error, const char *words);

void http_deed_send(struct http_call *call, struct http_device *device);
void http_deed_receive(struct http_call *call, struct http_device *device);
void http_deed_complete(struct http_call *call, struct http_device *device); /* or reject */
void http_deed_abandon(struct http_call *call, struct http_device *device);
