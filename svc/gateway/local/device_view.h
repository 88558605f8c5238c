/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The devices and modules below a gateway, as its operator sees them (rootedge gateway device): the hub's record with its age, whether it is connected, and what was decided about it last.  Never
 * a key. */

#include <jansson.h>

#include "gateway/local/decisions.h"
#include "gateway/scope/scope.h"
#include "heads/head.h"

struct device_view {
	struct scope *scope;
	struct directory *directory;
	struct decisions *decisions;
};

#define DEVICE_VIEW_MOST 500

/* {"devices": [...], "next": name or null}: at most `most` of those whose names come behind `after` (NULL: all), in the order of their names; the following page comes behind `next`. */
json_t *device_view_list(const struct device_view *view, const char *after, size_t most);
/* NULL: neither is there a record, nor was anything decided about it lately. */
json_t *device_view_show(const struct device_view *view, const char *device_id, const char *module_id);
