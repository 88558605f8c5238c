/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which process of this box is a module: as far as it is configured, one of that user, primary group, systemd unit or control group, and one that runs that program. */

#include <jansson.h>

#include "common/executable.h"
#include "diag/reason.h"
#include "net/conn.h"

struct caller_rule {
	bool has_uid, has_gid;
	uid_t uid;
	gid_t gid;
	char *executable, *unit, *cgroup; /* NULL: any */
};
/* {"uid":..., "gid":..., "executable":..., "unit":..., "cgroup":...}: at least one of them. */
int caller_rule_take(struct caller_rule *rule, const json_t *json, struct err *err);
void caller_rule_clear(struct caller_rule *rule);

/* Is it one?  asker_fd: where programs are asked for (executable.h), -1 for nowhere; used by one thread at a time.  What is seen of a process is believed only when it still lives after all has been
 * looked at, by its pidfd: its number may have gone to another one (atk-14).  0, or -1 with why in plain words, and the reason. */
int caller_judge(
	const struct caller_rule *rule, const struct peer_process *process, int asker_fd, enum reason *reason, struct err *err);
