/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Basic authentication (RFC 7617): the value of an Authorization header taken apart. */

#include <stdbool.h>

#include "base/buf.h"

#define HTTP_BASIC_MAX 2048 /* user and password together */

/* The user's name is put into `name`, the password stands behind it; either may be empty.  false: it is another scheme, or crooked.  The caller wipes `name`. */
bool http_basic_read(struct buf *name, const char **password, const char *authorization);
