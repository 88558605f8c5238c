/* SPDX-License-Identifier: Apache-2.0 */
/* From sections to properties and back (digital_twin.h). */
#include "hub/twins/digital_twin.h"

#include <string.h>

#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "wire/json.h"

#define OPERATIONS_MAX 100
#define DEPTH_MAX 2 /* a property, or a component's */

static bool
is_component(const json_t *value)
{
	return json_is_object(value) && text_is(json_string_value(json_object_get(value, "__t")), "c");
}

/* -- The view -------------------------------------------------------------------------------------------------------------------------- */

static void
copy_as(json_t *to, const char *name, const json_t *from, const char *member)
{
	json_t *value = json_object_get(from, member);

	if (value)
		json_object_set(to, name, value);
}

/* What is known of one property: {"desiredValue", "desiredVersion", "ackVersion", "ackCode", "ackDescription", "lastUpdateTime"}. */
static json_t *
property_metadata(const json_t *desired, const json_t *desired_meta, const json_t *reported, const json_t *reported_meta)
{
	json_t *out = json_object();

	if (desired)
		json_object_set(out, "desiredValue", (json_t *)(uintptr_t)desired);
	copy_as(out, "desiredVersion", desired_meta, "$lastUpdatedVersion");
	copy_as(out, "ackVersion", reported, "av");
	copy_as(out, "ackCode", reported, "ac");
	copy_as(out, "ackDescription", reported, "ad");
	copy_as(out, "lastUpdateTime", reported_meta ? reported_meta : desired_meta, "$lastUpdated");
	return out;
}

static bool
is_acknowledgement(const json_t *value)
{
	return json_is_object(value) && json_object_get(value, "value") && json_is_integer(json_object_get(value, "ac"));
}

static void put_members(json_t *out, json_t *metadata, const json_t *desired, const json_t *desired_meta, const json_t *reported,
	const json_t *reported_meta);

static void
put_member(json_t *out, json_t *metadata, const char *name, const json_t *desired, const json_t *desired_meta,
	const json_t *reported, const json_t *reported_meta)
{
	json_t *inner, *inner_metadata;

	if (is_component(desired) || is_component(reported)) {
		inner = json_object();
		inner_metadata = json_object();
		put_members(inner, inner_metadata, desired, desired_meta, reported, reported_meta);
		json_object_set_new(inner, "$metadata", inner_metadata);
		json_object_set_new(out, name, inner);
		return;
	}
	if (is_acknowledgement(reported))
		copy_as(out, name, reported, "value");
	else if (reported)
		json_object_set(out, name, (json_t *)(uintptr_t)reported);
	json_object_set_new(metadata, name,
		property_metadata(desired, desired_meta, is_acknowledgement(reported) ? reported : NULL, reported_meta));
}

static void
put_members(json_t *out, json_t *metadata, const json_t *desired, const json_t *desired_meta, const json_t *reported,
	const json_t *reported_meta)
{
	OWN_LIB(json_t) names = json_object();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)reported, name, value)
		json_object_set_new(names, name, json_true());
	json_object_foreach((json_t *)(uintptr_t)desired, name, value)
		json_object_set_new(names, name, json_true());
	json_object_foreach(names, name, value)
		if (*name != '$' && !text_is(name, "__t"))
			put_member(out, metadata, name, json_object_get(desired, name), json_object_get(desired_meta, name),
				json_object_get(reported, name), json_object_get(reported_meta, name));
}

json_t *
digital_twin_view(const struct twin *twin, const char *device_id)
{
	json_t *out = json_object(), *metadata = json_object();

	json_object_set_new(out, "$dtId", json_string(device_id));
	if (twin->model_id)
		json_object_set_new(metadata, "$model", json_string(twin->model_id));
	put_members(out, metadata, twin->desired.values, twin->desired.meta, twin->reported.values, twin->reported.meta);
	json_object_set_new(out, "$metadata", metadata);
	return out;
}

/* -- Patches --------------------------------------------------------------------------------------------------------------------------- */

/* "~1" and "~0" of RFC 6901, in place. */
static void
unescape(char *name)
{
	char *to = name;

	for (const char *from = name; *from; from++)
		if (*from == '~' && (from[1] == '0' || from[1] == '1'))
			*to++ = *++from == '1' ? '/' : '~';
		else
			*to++ = *from;
	*to = '\0';
}

/* "/thermostat1/target": one name or two; the caller frees each. */
static int
take_path(char *names[DEPTH_MAX], size_t *n, const char *path, struct err *err)
{
	struct slice rest = slice_of(path), one;
	bool more = slice_starts(rest, "/"), good = more;

	if (more)
		rest = (struct slice){ .text = rest.text + 1, .len = rest.len - 1 };
	while (more && good) {
		more = slice_cut(&rest, '/', &one);
		good = one.len > 0 && *n < DEPTH_MAX;
		if (!good)
			break;
		names[*n] = slice_text(one);
		unescape(names[(*n)++]);
	}
	return good ? 0 : err_set(err, ERR_INVALID, "the path '%.100s' is not that of a property or of a component's", path);
}

/* A component as desired properties have it. */
static json_t *
component_of(json_t *desired, const char *name)
{
	json_t *component = json_object_get(desired, name);

	if (!is_component(component)) {
		component = json_pack("{s:s}", "__t", "c");
		json_object_set_new(desired, name, component);
	}
	return component;
}

static bool
is_whole_component(const json_t *value)
{
	return json_is_object(value) && json_is_object(json_object_get(value, "$metadata"));
}

static void
put_value(json_t *desired, char *const *names, size_t n, json_t *value)
{
	json_t *into = n == 2 ? component_of(desired, names[0]) : desired;
	OWN_LIB(json_t) copy = NULL;

	if (n == 1 && is_whole_component(value)) {
		copy = json_copy(value);
		json_object_del(copy, "$metadata");
		json_object_update(component_of(desired, names[0]), copy);
		return;
	}
	json_object_set(into, names[n - 1], value);
}

static int
take_operation(json_t *desired, const json_t *operation, struct err *err)
{
	char *names[DEPTH_MAX] = { NULL };
	const char *op, *path;
	json_t *value = json_object_get(operation, "value");
	size_t n = 0;
	int done;

	if (!json_is_object(operation) || json_get_text(operation, "op", &op, err) < 0 ||
		json_get_text(operation, "path", &path, err) < 0)
		return err->text[0] ? -1 : err_set(err, ERR_INVALID, "an operation is an object with op and path");
	done = take_path(names, &n, path, err);
	if (done == 0 && text_is(op, "remove"))
		put_value(desired, names, n, json_null());
	else if (done == 0 && (text_is(op, "add") || text_is(op, "replace")) && value)
		put_value(desired, names, n, value);
	else if (done == 0)
		done = err_set(err, ERR_INVALID, "an operation is add or replace with a value, or remove, found '%.50s'", op);
	for (size_t i = 0; i < DEPTH_MAX; i++)
		mem_free(names[i]);
	return done;
}

json_t *
digital_twin_patch(const json_t *patch, struct err *err)
{
	OWN_LIB(json_t) desired = json_object();
	json_t *operation;
	size_t i;

	if (!json_is_array(patch) || json_array_size(patch) == 0 || json_array_size(patch) > OPERATIONS_MAX)
		return err_null(err, ERR_INVALID, "a patch is a list of 1 to %d operations", OPERATIONS_MAX);
	json_array_foreach(patch, i, operation)
		if (take_operation(desired, operation, err) < 0)
			return NULL;
	return json_incref(desired);
}
