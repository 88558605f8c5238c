/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub knows of who wants to come in: the records that a decision about it needs, as they were at that moment.  The decision itself is auth/decide.h. */

#include "auth/on_behalf.h"
#include "heads/head.h"
#include "hub/registry/registry.h"

struct evidence {
	struct identity *target; /* NULL: there is none; owned */
	struct on_behalf chain;
};
void evidence_find(struct evidence *evidence, struct registry *registry, const struct head_hello *hello);
void evidence_clear(struct evidence *evidence);

/* The caller owns the verdict; *vouched is one of `cas`, or NULL. */
struct verdict *evidence_judge(const struct evidence *evidence, const struct head_hello *hello, const char *hub_host,
	const struct auth_policy *policy, struct authorities *cas, const struct revocations *revoked,
	const struct authority **vouched);
