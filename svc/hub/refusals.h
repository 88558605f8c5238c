/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Why devices that the hub knows were last not let in: a verdict for each, of the last so many.  Strangers are not kept: they could make up any number of names,
 * and for them the answer is that they are unknown.  In memory only; the log has all of it.  Any thread. */

#include <stddef.h>
#include <stdint.h>

#include "auth/identity.h"
#include "diag/verdict.h"

#define REFUSALS_MAX 1000
#define REFUSAL_BYTES_MAX (16 << 10) /* a larger verdict is in the log alone */

struct refusals;
struct refusals *refusals_new(size_t max);
void refusals_free(struct refusals *refusals);

/* In place of the one before; the oldest of another goes where there is no room. */
void refusals_keep(struct refusals *refusals, const struct identity *who, const struct verdict *verdict, int64_t now);
/* The verdict as JSON, which the caller owns; NULL: none is kept of this identity.  One of a device that was of the same name and is gone counts for nothing. */
char *refusals_find(struct refusals *refusals, const struct identity *who, int64_t *when);
