/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files about configurations share: configurations.c has the steps, configurations_settle.c what a step does to a twin, configurations_call.c what a
 * service asks for.  The registry's worker's. */

#include <stdatomic.h>

#include "base/map.h"
#include "hub/automation/configuration_store.h"
#include "hub/automation/configurations.h"
#include "hub/twins/twin_walk.h"

struct configurations {
	struct registry *registry;
	struct twins *twins;
	struct directory *directory;
	struct db *db;
	const char *const *indexed_paths;
	size_t n_indexed_paths;
	struct configuration *list[CONFIGURATIONS_MAX];
	size_t n;
	struct configuration *swept; /* whose walk this is */
	struct twin_walk walk;
	struct map *changed; /* names of twins to be asked all conditions */
	struct job job;
	atomic_bool wanted, queued;
	struct owner *owner;
};

/* There is something to do. */
void configurations_wake(struct configurations *cs);
void configurations_end_sweep(struct configurations *cs);
/* Take it back from one twin that the last sweep did not find; a doomed one without any is gone after this. */
int configurations_finish_next(struct configurations *cs, struct configuration *c, struct err *err);

/* What a twin's configurations say now is written if it differs; `gone`, or NULL, no longer counts for this twin. */
int configurations_settle(
	struct configurations *cs, struct configuration_target target, const struct configuration *gone, struct err *err);
/* The twin no longer holds it.  The twin is written first, so a crash in between leaves work to be found again, never work that counts as done. */
int configurations_release(
	struct configurations *cs, const struct configuration *c, struct configuration_target target, struct err *err);
