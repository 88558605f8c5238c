/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A module is a process of this box that has an identity of its own in the hub. */

#include <pthread.h>
#include <stdatomic.h>

#include "edged/caller.h"
#include "keys/key.h"

#define MODULES_MAX 64
#define MODULE_NAMES_MAX 32
#define MODULE_NAMES_AUTO "auto" /* stands for the addresses of this box, as they are when it asks */

struct module {
	char *id; /* as in the hub: "$edgeHub" */
	char *socket_path;
	struct caller_rule caller;
	char *names[MODULE_NAMES_MAX]; /* that it may have server certificates for, beside its own */
	size_t n_names;
	enum key_alg key_alg; /* of keys that are made for it */
	pthread_mutex_t lock; /* for what follows */
	char *generation_id, *sign_handle;
	unsigned n_forgotten;	/* how often it was told that it has none any more */
	atomic_bool is_doubted; /* whether that is still its identity in the hub */
	atomic_bool is_kept;	/* it is what identityd kept: the hub has not confirmed it since we began */
	_Atomic int64_t may_doubt_ms;
};

/* What identityd gave it last. */
struct module_identity {
	char *generation_id, *sign_handle;
};

/* {"id":..., "socket":..., "names":[...], "key":"ec-p256", and those of caller_rule_take} */
int module_take(struct module *module, const json_t *json, struct err *err);
void module_clear(struct module *module);

const char *module_bare(const char *module_id);				  /* without the "$" of the hub's own; borrowed */
bool module_may_have_name(const struct module *module, const char *name); /* its own, or one of names; in any case */

/* A copy; ERR_UNAVAILABLE until there is one.  Any thread. */
int module_get_identity(struct module *module, struct module_identity *identity, struct err *err);
void module_set_identity(struct module *module, const char *generation_id, const char *sign_handle);
void module_forget_identity(struct module *module); /* it was deleted */
/* An answer that was asked for before it was deleted is none any more: ask this first, and see whether it is the same when the answer is here. */
unsigned module_n_forgotten(struct module *module);
void module_identity_clear(struct module_identity *identity);
