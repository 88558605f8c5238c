/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The registered CAs follow root rollovers (docs/trust.md).  In a folder of `rootedge trust` one root follows another; where one of them is registered here and verified, its successor is
 * registered beside it as soon as it is announced, for the same devices, and the old one is deleted when it has retired.  Each step is taken once: what the operator changes afterwards stays. */

#include "hub/hub_est.h"
#include "hub/registry/ca.h"
#include "net/loop.h"

struct hub_roots_config {
	const char *trust_dir; /* --trust; NULL: only those of EST's issuers */
	struct hub_est *est;   /* NULL: there is none */
	struct registry *registry;
	struct ca_registry *cas;
	struct loop *loop;
};
struct hub_roots;
struct hub_roots *hub_roots_new(const struct hub_roots_config *config);
void hub_roots_start(struct hub_roots *roots); /* on the thread of its loop, or before it runs */
void hub_roots_free(struct hub_roots *roots);  /* after the registry's worker and the loop */

/* One step, on the worker: what is in this folder now. */
int hub_roots_apply(struct ca_registry *cas, struct registry *registry, const char *trust_dir, struct err *err);
