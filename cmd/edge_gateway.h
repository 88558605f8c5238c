/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the edge device's own gateway says of those above it. */

#include <jansson.h>

#include "base/buf.h"

/* Where a gateway runs: "gateway" in the status, and words for the page when those above refuse it, or it is not ready. */
void edge_gateway_look(const char *state, json_t *status, struct buf *page);
