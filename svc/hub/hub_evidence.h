/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub knows of who wants to come in: the records that a decision about it needs, as they were at that moment.  The decision itself is auth/decide.h. */

#include "auth/decide.h"
#include "heads/head.h"
#include "hub/registry/registry.h"

#define EVIDENCE_CHAIN_MAX 8 /* devices between an actor and its target */
#define EVIDENCE_EDGE_HUB "$edgeHub"

struct evidence {
	struct identity *target, *actor, *actor_device; /* NULL: there is none; owned */
	struct identity *path[EVIDENCE_CHAIN_MAX];
	size_t n_path;
};
void evidence_find(struct evidence *evidence, struct registry *registry, const struct head_hello *hello);
void evidence_clear(struct evidence *evidence);

/* The caller owns the verdict; *vouched is one of `cas`, or NULL. */
struct verdict *evidence_judge(const struct evidence *evidence, const struct head_hello *hello, const char *hub_host,
	const struct auth_policy *policy, struct authorities *cas, const struct revocations *revoked,
	const struct authority **vouched);
