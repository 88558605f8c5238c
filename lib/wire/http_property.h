/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Properties of messages as HTTP headers and the same ones as a property bag (hub 2.1, 2.2): "iothub-messageid: m" is "$.mid=m", "iothub-app-KEY: v" is KEY=v.
 * Names of headers have no case: a key keeps the one that arrives. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/rd.h"

/* Append what this header says of a message to its bag.  false: it says nothing of it. */
bool http_property_put(struct buf *bag, const char *header, const char *value);
/* The header line of a property, to be freed by the caller.  What a header can't hold (a key that is no token, a value with control characters or outside ASCII)
 * is percent-encoded. */
char *http_property_header(const char *name, const char *value);
