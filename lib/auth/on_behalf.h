/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* May this gateway speak for that device?  (gateway 3.7, 3.8) The claim's chain is "target;...;actor"; the records say what is
 * true. */

#include "auth/decide.h"

#define ON_BEHALF_PATH_MAX 8 /* devices between an actor and its target */
#define ON_BEHALF_MODULE "$edgeHub"

/* The records that a chain names, as they are at this moment. */
struct on_behalf {
	struct identity *actor, *actor_device; /* NULL: there is none; owned */
	struct identity *path[ON_BEHALF_PATH_MAX];
	size_t n_path;
};
/* find: a record as it is judged, or NULL; it becomes ours. */
void on_behalf_find(struct on_behalf *out, const char *chain,
	struct identity *(*find)(void *arg, const char *device_id, const char *module_id), void *arg);
void on_behalf_clear(struct on_behalf *records);
/* What a decision takes of them. */
void on_behalf_give(struct auth_records *to, const struct on_behalf *records);
/* The element at its end; the caller owns it. */
char *on_behalf_actor_id(const char *chain);

bool on_behalf_check(struct verdict *v, const struct auth_claim *claim, const struct auth_records *records);
