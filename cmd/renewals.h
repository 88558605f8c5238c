/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the services of an edge device keep of their certificates, for other verbs. */

#include <jansson.h>

#include "base/buf.h"

json_t *renewals_of(const char *state_dir); /* an array, as `rootedge renewals --json` has it; what can't be read is left out */
void renewals_put_table(struct buf *page, const json_t *all); /* for people */
