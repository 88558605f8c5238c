/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A gateway below this one that speaks for a device (gateway 3.8): which it is, by the records of a chain, and whether it still may.  It must be below this gateway, and the device below it, by the
 * hub's records; what it says of itself decides nothing. */

#include "auth/on_behalf.h"
#include "auth/trust.h"
#include "gateway/scope/scope.h"

/* What the chain names: without an actor when that is not below us, which is refused. */
void speaker_find(struct on_behalf *out, struct scope *scope, const char *chain);

struct speaker;
struct speaker *speaker_new(const struct on_behalf *records); /* who was let in */
void speaker_free(struct speaker *speaker);
/* Is it as it was judged, and the device still below it? */
bool speaker_may(const struct speaker *speaker, struct scope *scope, const char *device_id);

/* Ask above about those of the chain who are not known: of the device itself what is new since then.  Blocks. */
enum scope_answer speaker_look_up(
	struct scope *scope, const char *chain, const char *device_id, const char *module_id, int64_t since_ms, struct err *err);
