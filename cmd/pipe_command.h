/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Another program's answer: what it writes to its standard output. */

#include "base/buf.h"
#include "base/err.h"

/* args ends with NULL.  The exit status; -1 when it could not be run or said more than out takes. */
int pipe_command(const char *const *args, struct buf *out, struct err *err);
