/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A module as the hub tells of it (edge-services 7.2).  Pure. */

#include <jansson.h>

#include "base/err.h"

/* Is it a module of that device, with a generation to derive its keys from?  module_id NULL: any. */
int module_record_check(const json_t *module, const char *device_id, const char *module_id, struct err *err);
