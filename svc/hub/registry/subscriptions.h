/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The subscriptions of identities that connect with clean session 0: kept over connections and restarts, because SDKs do not subscribe again after
 * they renewed their token (clients-observed 3).  In memory for every connect, in SQLite a moment later: who asked for them waits for that. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/post.h"
#include "hub/registry/registry.h"

#define SUBSCRIPTIONS_MAX 64 /* of one identity */

struct subscriptions;
/* Writes on the registry's worker; `owner` is the loop on which its writing is arranged. */
struct subscriptions *subscriptions_open(struct registry *registry, struct owner *owner, struct err *err);
/* Writes what is still to be written.  The worker must be idle. */
void subscriptions_close(struct subscriptions *subscriptions);

struct subscription_list {
	char *text; /* owns what the filters point into */
	const char *filters[SUBSCRIPTIONS_MAX];
	uint8_t qos[SUBSCRIPTIONS_MAX];
	size_t n;
};
void subscription_list_clear(struct subscription_list *list);

/* Any thread.  Set: true when it is durable already; otherwise `wait`, unless it is NULL, is told on its owner when it is, or could not be made so. */
struct subscriptions_wait {
	void (*done)(struct subscriptions_wait *wait, bool ok);
	struct owner *owner;
	struct subscriptions_wait *next;
	struct post post;
	bool ok;
};
void subscriptions_get(struct subscriptions *subscriptions, const char *name, struct subscription_list *out);
bool subscriptions_set(struct subscriptions *subscriptions, const char *name, const char *const *filters, const uint8_t *qos,
	size_t n, struct subscriptions_wait *wait);
