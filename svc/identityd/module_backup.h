/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub last said about each module, without keys, for when it is out of reach.  The folder carries hub and device: what was kept for another identity of this box is never used for
 * this one, and goes once this one has its place. */

#include <jansson.h>

#include "identityd/device_info.h"

/* NULL: ERR_MISSING, or damaged. */
json_t *module_backup_load(const char *state_dir, const struct device_info *device, const char *module_id, struct err *err);
int module_backup_save(const char *state_dir, const struct device_info *device, const json_t *module, struct err *err);
int module_backup_remove(const char *state_dir, const struct device_info *device, const char *module_id, struct err *err);
/* Those of all other identities of this box. */
void module_backup_forget_others(const char *state_dir, const struct device_info *device);
