/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The command line of a role. */

#include "edge/layout.h"

#define ROLE_ARGS_MAX 256

struct role_args {
	char *item[ROLE_ARGS_MAX + 1]; /* the program first; ends with NULL */
	size_t n;
};

/* What edged found out, for the gateway: $edgeHub's generation, and who this device is where provisioning tells that. */
struct role_facts {
	char *generation, *hub_name, *device_id;
};
void role_facts_clear(struct role_facts *facts);
bool role_facts_are_same(const struct role_facts *a, const struct role_facts *b);

char *role_args_program(enum layout_role role);
/* Where the gateway was found before, 0 the first time. */
struct role_ports {
	int64_t mqtt, https;
};
/* facts and found: for the gateway alone. */
void role_args_fill(struct role_args *out, const struct config *config, const struct layout *layout, enum layout_role role,
	const struct role_facts *facts, const struct role_ports *found);
/* On one line for a unit's environment file.  NULL when a word has white space or quotes in it, which such a line can't carry. */
char *role_args_line(const struct role_args *args, struct err *err);
void role_args_push_int(struct role_args *args, const char *name, int64_t value);
void role_args_clear(struct role_args *args);
