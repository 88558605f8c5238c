/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The twin of a device or module as a document (hub 1.9, 4.5): its sections, what a change makes of them, what is too much, and how the device and
 * a service see it.  Rules on JSON only: no storage, no clock. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"

#define TWIN_PROPERTIES_MAX (32 << 10) /* of desired, and of reported: keys and values as the original counts them */
#define TWIN_TAGS_MAX (8 << 10)
#define TWIN_DEPTH_MAX 10
#define TWIN_KEY_MAX (1 << 10)
#define TWIN_STRING_MAX (4 << 10)
#define TWIN_INTEGER_MAX 4503599627370496

struct twin_section {
	json_t *values; /* an object without nulls */
	json_t *meta;	/* its mirror: when each member was last written, and by which version */
	int64_t version;
};

struct twin {
	json_t *tags;
	struct twin_section desired, reported;
	char *etag; /* of what services write: tags and desired */
	char *model_id;
	int64_t version;
};

struct twin *twin_new(void); /* as it is before anybody has written to it */
struct twin *twin_copy(const struct twin *twin);
void twin_free(struct twin *twin);
OWN_DEFINE(twin);

/* What somebody wants of it, borrowed: NULL leaves a section alone, JSON null empties it.  Merged (a null deletes, an array is replaced whole), or put in the
 * place of what was there.  `$version` and `$metadata` of a section are overlooked: services send back what they got. */
struct twin_change {
	json_t *tags, *desired, *reported;
	bool replace;
};
/* -1: the twin may have been changed in part and is to be thrown away.  ERR_LIMIT: a section has become too big; ERR_INVALID: anything else. */
int twin_apply(struct twin *twin, const struct twin_change *change, int64_t now_ms, struct err *err);

/* What the device is told of a change of its desired properties: what was written, null for what is gone, and the new $version. */
json_t *twin_desired_news(const struct twin *before, const struct twin *after, const struct twin_change *change);

/* Of properties alone: the merge that makes `after` of `before`; and a merge that was judged before. */
json_t *twin_difference(json_t *before, json_t *after);
void twin_merge(json_t *values, json_t *patch);

json_t *twin_device_view(const struct twin *twin);
/* What a twin shows of its identity, from the record as the registry's REST API has it. */
void twin_put_record(json_t *view, const json_t *record);
/* `identity` is the record as the registry API shows it (identity_to_json). */
json_t *twin_service_view(const struct twin *twin, const json_t *identity);
