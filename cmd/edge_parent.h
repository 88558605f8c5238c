/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The gateway above an edge device, as its operator sees it: whether it can be reached and is trusted, by what the roles are told (STATE/config). */

#include <jansson.h>

#include "base/buf.h"

/* {"name", "well"} into status["parent"], and its words to the page.  Nothing where there is no parent, or where what the roles are told can't be read. */
void edge_parent_look(const char *state, json_t *status, struct buf *page);
