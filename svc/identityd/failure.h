/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A failure with its cause in a line of its own, as clients of the original read it (edge-services 0.1). */

#include <stdio.h>

#include "base/err.h"

#define FAILURE_OF_HUB "Hub client error"

/* "WHAT\ncaused by: what err said".  Returns -1. */
static inline int
failure_cause(struct err *err, const char *what, enum err_kind kind)
{
	struct err cause = *err;

	return err_set(err, kind, "%s\ncaused by: %.400s", what, cause.text);
}
