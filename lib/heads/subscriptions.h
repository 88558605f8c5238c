/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The subscriptions of identities that connect with clean session 0: kept over connections and restarts, because SDKs do not subscribe again after
 * they renewed their token (clients-observed 3).  In memory for every connect, on the disk of the back end a moment later: who asked for them waits for that. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/post.h"
#include "base/pool.h"
#include "heads/head.h"

#define SUBSCRIPTIONS_MAX 64 /* of one identity */

/* Where the back end keeps them: a text for each name.  `put` stands between begin and end; text NULL removes. */
struct subscriptions_keeper {
	void *arg;
	int (*load)(void *arg, void (*each)(void *each_arg, const char *name, const char *text), void *each_arg, struct err *err);
	int (*begin)(void *arg, struct err *err);
	int (*put)(void *arg, const char *name, const char *text, struct err *err);
	int (*end)(void *arg, int done, struct err *err); /* done 0: make it durable; anything else: undo, and -1 */
	bool (*work)(void *arg, struct job *job);	  /* on the one worker that may write there; false: it takes nothing */
};

struct subscriptions;
/* `owner` is the loop on which the writing is arranged. */
struct subscriptions *subscriptions_open(const struct subscriptions_keeper *keeper, struct owner *owner, struct err *err);
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
/* For a session, on its loop: set, and acknowledged when it is durable (struct head_ops.subscriptions). */
void subscriptions_keep(struct subscriptions *subscriptions, const char *name, struct head_session *session,
	const char *const *filters, const uint8_t *qos, size_t n, struct head_ack *ack);
