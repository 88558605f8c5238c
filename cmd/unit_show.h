/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What `systemctl show` says of units: NAME=VALUE lines, an empty line between two units.  And what becomes of it for people: the words of the original's `system status`. */

#include <stddef.h>

#include "base/buf.h"

#define UNIT_VALUE_MAX 256

enum unit_field {
	UNIT_ID,
	UNIT_LOAD,
	UNIT_ACTIVE,
	UNIT_SUB,
	UNIT_RESULT,
	UNIT_PID,
	UNIT_RESTARTS,
	UNIT_STATUS,
	UNIT_ENTERED,
	UNIT_CONDITION,
	UNIT_FIELDS
};

struct unit_show {
	char value[UNIT_FIELDS][UNIT_VALUE_MAX]; /* "" when it was not said */
};

/* The argument for --property. */
char *unit_show_properties(void);
/* How many were found, at most max.  A value that is too long is cut. */
size_t unit_show_parse(struct unit_show *out, size_t max, const char *text);
/* socket may be NULL: this unit is not started by one.  "Running"; "Starting"; "Done", of what only has to
 * have run; "Ready": it starts with its first connection; "Not configured": its condition says that it is not wanted; "Down - ..." */
const char *unit_show_state(const struct unit_show *service, const struct unit_show *socket, char *out, size_t size);
