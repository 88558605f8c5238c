/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The content of a configuration (hub 4.5): what desired properties of a device, of a module, or of the modules of a gateway shall be.  Its entries are
 * {"properties.desired": all of them} and {"properties.desired.path": the value at the path}.  Pure. */

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"

enum content_kind { CONTENT_DEVICE, CONTENT_MODULE, CONTENT_MODULES };

/* {"deviceContent" | "moduleContent" | "modulesContent": ...}: one of them has something in it, and all its entries are as above. */
int content_check(const json_t *content, enum content_kind *kind, struct err *err);
/* Entries by module: {"$edgeAgent": {entries}, ...}. */
int content_check_modules(const json_t *modules, struct err *err);
/* The entries of a device or module content. */
const json_t *content_entries(const json_t *content, enum content_kind kind);

/* Make the desired properties (without $ members) what the entries want, shorter paths first. */
void content_apply(json_t *desired, json_t *entries);
/* Take away what these entries had set. */
void content_remove(json_t *desired, json_t *entries);
