/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The enrollment groups in memory.  Whoever asks to register is judged against all of them, strangers too, and each may hold certificates: they are read once, not for
 * each question.  For one thread, the registry's worker. */

#include "hub/provisioning/enrollment_store.h"

struct enrollment_groups {
	struct enrollment **item;
	size_t n;
	bool loaded;
};

int enrollment_groups_load(struct enrollment_groups *groups, struct db *db, const struct ca_registry *cas,
	struct err *err);					/* does nothing while they are as they were */
void enrollment_groups_clear(struct enrollment_groups *groups); /* one, or a CA, has changed: they are read again */
