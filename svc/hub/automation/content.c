/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of configurations on desired properties (content.h). */
#include "hub/automation/content.h"

#include <string.h>

#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "wire/json.h"

#define PREFIX "properties.desired"
#define DEPTH_MAX 10 /* of a twin */
#define MODULES_MAX 50

static const char *const kinds[] = {
	[CONTENT_DEVICE] = "deviceContent",
	[CONTENT_MODULE] = "moduleContent",
	[CONTENT_MODULES] = "modulesContent",
};

/* -- Checking ----------------------------------------------------------------------------------------------------------------------------- */

static size_t
n_names(const char *path)
{
	struct slice rest = slice_of(path), name;
	size_t n = 0;
	bool more = true;

	while (more) {
		more = slice_cut(&rest, '.', &name);
		if (name.len == 0)
			return 0;
		n++;
	}
	return n;
}

static int
check_entry(const char *path, const json_t *value, struct err *err)
{
	size_t n = n_names(path);

	if (n < 2 || n > 2 + DEPTH_MAX || !text_starts(path, PREFIX) || (path[strlen(PREFIX)] != '.' && path[strlen(PREFIX)]))
		return err_set(err, ERR_INVALID, "'%.80s' is no path at or below %s", path, PREFIX);
	if (n == 2 && !json_is_object(value))
		return err_set(err, ERR_INVALID, "%s is not an object", PREFIX);
	return 0;
}

static int
check_entries(const char *of, json_t *entries, struct err *err)
{
	const char *path;
	json_t *value;

	if (!json_is_object(entries))
		return err_set(err, ERR_INVALID, "%.80s is not an object", of);
	json_object_foreach(entries, path, value)
		if (check_entry(path, value, err) < 0)
			return err_wrap(err, "%.80s", of);
	return 0;
}

int
content_check_modules(const json_t *modules, struct err *err)
{
	const char *name;
	json_t *entries;

	if (!json_is_object(modules) || json_object_size(modules) == 0)
		return err_set(err, ERR_INVALID, "modulesContent is not an object of modules");
	if (json_object_size(modules) > MODULES_MAX)
		return err_set(err, ERR_LIMIT, "a device has at most %d modules", MODULES_MAX);
	json_object_foreach((json_t *)(uintptr_t)modules, name, entries)
		if (check_entries(name, entries, err) < 0)
			return -1;
	return 0;
}

int
content_check(const json_t *content, enum content_kind *kind, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT(kinds); i++)
		if (json_object_size(json_object_get(content, kinds[i])) > 0) {
			*kind = (enum content_kind)i;
			n++;
		}
	if (n != 1)
		return err_set(err, ERR_INVALID, "the content has one of deviceContent, moduleContent and modulesContent");
	if (*kind == CONTENT_MODULES)
		return content_check_modules(json_object_get(content, kinds[*kind]), err);
	return check_entries(kinds[*kind], json_object_get(content, kinds[*kind]), err);
}

const json_t *
content_entries(const json_t *content, enum content_kind kind)
{
	return json_object_get(content, kinds[kind]);
}

/* -- Applying -------------------------------------------------------------------------------------------------------------------------------- */

/* The object that the last name of the path is a member of; made on the way, or NULL. */
static json_t *
parent_of(json_t *desired, const char *path, bool make, char **last)
{
	struct slice rest = slice_of(path + strlen(PREFIX) + 1), name;
	json_t *at = desired, *below;

	while (slice_cut(&rest, '.', &name)) {
		OWN_TEXT key = slice_text(name);

		below = json_object_get(at, key);
		if (!json_is_object(below) && !make)
			return NULL;
		if (!json_is_object(below)) {
			below = json_object();
			json_object_set_new(at, key, below);
		}
		at = below;
	}
	*last = slice_text(name);
	return at;
}

static void
set_at(json_t *desired, const char *path, json_t *value)
{
	OWN_TEXT last = NULL;
	json_t *parent = parent_of(desired, path, true, &last);

	if (json_is_null(value))
		json_object_del(parent, last);
	else
		json_object_set_new(parent, last, json_deep_copy(value));
}

static void
set_all(json_t *desired, json_t *value)
{
	OWN_LIB(json_t) copy = json_deep_copy(value);

	json_object_clear(desired);
	json_object_update(desired, copy);
}

void
content_apply(json_t *desired, json_t *entries)
{
	const char *path;
	json_t *value;

	for (size_t depth = 2; depth <= 2 + DEPTH_MAX; depth++)
		json_object_foreach(entries, path, value) {
			if (n_names(path) != depth)
				continue;
			if (depth == 2)
				set_all(desired, value);
			else
				set_at(desired, path, value);
		}
}

void
content_remove(json_t *desired, json_t *entries)
{
	const char *path;
	json_t *value, *parent;

	json_object_foreach(entries, path, value) {
		OWN_TEXT last = NULL;

		if (n_names(path) == 2) {
			json_object_clear(desired);
			continue;
		}
		parent = parent_of(desired, path, false, &last);
		if (parent)
			json_object_del(parent, last);
	}
}
