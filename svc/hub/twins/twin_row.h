/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A twin as the rows of a query see it: what is stored of it and what the registry and the directory know of its identity, in one document (hub 4.5).
 * Most queries ask about one corner of it, so only the parts that are needed are read and made. */

#include <jansson.h>

#include "heads/head.h"
#include "hub/registry/registry.h"
#include "store/db.h"
#include "wire/query.h"

enum twin_part {
	TWIN_PART_IDENTITY = 1, /* status, authentication, connectionState, ... */
	TWIN_PART_STORED = 2,	/* etag, version, modelId */
	TWIN_PART_TAGS = 4,
	TWIN_PART_DESIRED = 8,
	TWIN_PART_REPORTED = 16,
	TWIN_PART_META = 32, /* $metadata and $version of the sections */
	TWIN_PART_CONFIGURATIONS = 64,
	TWIN_PART_COMMANDS = 128,		    /* cloudToDeviceMessageCount */
	TWIN_PARTS_SHOWN = 63 | TWIN_PART_COMMANDS, /* SELECT * */
};

/* What the condition needs; what the columns and groups do. */
unsigned twin_row_condition_parts(const struct query *query);
unsigned twin_row_column_parts(const struct query *query);

struct twin_row_context {
	struct db *db; /* of this thread */
	struct registry *registry;
	struct directory *directory; /* NULL: nobody is connected */
};
/* deviceId and moduleId are always there.  *out is NULL when there is no such identity (any more). */
int twin_row_load(const struct twin_row_context *context, const char *device_id, const char *module_id, unsigned parts,
	json_t **out, struct err *err);
