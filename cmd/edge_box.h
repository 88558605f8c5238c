/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The edge device of this box, whoever keeps it running: the supervisor (`rootedge edge`), which is found by its state folder, or systemd's units. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"

#define EDGE_STATE_DEFAULT "/var/lib/aziot"
#define EDGE_STATE_ROW(type)                                                                                                       \
	{                                                                                                                          \
		"state", 's', "DIR", "the state folder (" EDGE_STATE_DEFAULT ")", OPTION_TEXT, offsetof(type, state), 0, 0         \
	}

struct edge_box {
	const char *state;
	bool by_systemd;
};

int edge_box_find(struct edge_box *out, const char *state, struct err *err);
/* {"keeper": "rootedge edge" or "systemd", "roles": [{"name", "state", "failed", ...}], ...}; the caller owns it. */
json_t *edge_box_status(const struct edge_box *box, struct err *err);
/* Of the supervisor.  Its refusal is a failure; the caller owns what comes back. */
json_t *edge_box_ask(const struct edge_box *box, json_t *request_take, struct err *err);

/* Until it serves again (edge_restart.c). */
int edge_restart_role(const struct edge_box *box, const char *role, struct err *err);
/* Until this role (NULL: each) serves, having been started again so often. */
int edge_restart_wait(const struct edge_box *box, const char *role, int64_t restarts, struct err *err);

extern const char *const edge_roles[]; /* ends with NULL */
int edge_check_role(const char *name, struct err *err);
char *edge_unit_name(const char *role, const char *kind); /* "service" or "socket" */
