/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The shared access policies of a hub (hub 4.1): the five that every IoT Hub has, with keys of their own made at the first start. */

#include <stdatomic.h>
#include <stddef.h>

#include "auth/decide.h"
#include "base/err.h"
#include "base/own.h"
#include "hub/registry/registry_store.h"

#define POLICIES_MAX 32

struct policies {
	struct auth_service_policy row[POLICIES_MAX];
	size_t n;
	char *names[POLICIES_MAX];
	struct secret keys[POLICIES_MAX][2];
	atomic_int n_refs;
};

struct policies *policies_read(struct registry_store *store, struct err *err); /* there may be none */
/* The same, making the default ones where there are none. */
struct policies *policies_load(struct registry_store *store, struct err *err);
struct policies *policies_ref(struct policies *policies); /* they don't change once they are shared */
void policies_free(struct policies *policies);
OWN_DEFINE(policies);
const struct auth_service_policy *policies_find(const struct policies *policies, const char *name);
/* The default policies with keys that follow from a text: connection strings that stay the same over new hubs, for tests only. */
int policies_fix(struct registry_store *store, const char *text, struct err *err);
void policy_make_key(struct secret *key); /* at random */
