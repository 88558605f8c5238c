/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* All configurations (configuration.h), and what follows from them: they are applied to the twins that begin to meet their condition, and taken back from those that
 * no longer do.
 *
 * Everything here runs on the registry's worker.  What follows from a change is done in small steps between other work; after a crash the next start goes through
 * all conditions once. */

#include "heads/head.h"
#include "hub/automation/configuration.h"
#include "hub/registry/registry.h"
#include "hub/twins/twin.h"

struct configurations;
/* `owner` is the loop that hands steps to the worker.  All is borrowed; the paths are those of the index of twins. */
struct configurations *configurations_open(struct registry *registry, struct twins *twins, struct directory *directory,
	struct owner *owner, const char *const *indexed_paths, size_t n_indexed_paths, struct err *err);
void configurations_close(struct configurations *configurations); /* once the worker and the loops have ended */

enum configuration_op { CONFIGURATION_GET, CONFIGURATION_LIST, CONFIGURATION_PUT, CONFIGURATION_REMOVE };
struct configuration_call {
	/* The question; owned. */
	enum configuration_op op;
	char *id;
	json_t *body;	/* PUT */
	char *if_match; /* NULL: PUT creates; "*": whatever is there; else its etag */
	int64_t max;	/* LIST */

	/* The answer. */
	enum configuration_answer answer;
	struct err err;
	json_t *result; /* the configuration as it is now, or an array of them */
	char *etag;

	void (*done)(struct configuration_call *call); /* on the owner it was submitted for */
	struct configurations *configurations;
	struct job job;
};
void configuration_call_clear(struct configuration_call *call);
/* false: too much waits already. */
bool configurations_submit(struct configurations *configurations, struct configuration_call *call, struct owner *owner);
/* The same at once: for tests. */
void configurations_run(struct configurations *configurations, struct configuration_call *call);
/* Do what is to be done for at most this long; true: there is more. */
bool configurations_step(struct configurations *configurations, int64_t ms);
