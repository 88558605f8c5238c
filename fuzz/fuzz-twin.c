/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a twin, one a line, each as a service or a device sends it: [tags, desired, reported, replace].  What was accepted is within its limits, holds no null outside of
 * lists, its metadata mirrors it, and a device that merges what it is told has what the hub has. */
#include "fuzz.h"
#include "wire/twin_doc.h"
#include "wire/json.h"

static json_t *
element(json_t *change, size_t i)
{
	return i < json_array_size(change) && !json_is_false(json_array_get(change, i)) ? json_array_get(change, i) : NULL;
}

static void
check_mirror(json_t *values, json_t *meta)
{
	const char *key;
	json_t *value;

	FUZZ_CHECK(json_is_string(json_object_get(meta, "$lastUpdated")));
	json_object_foreach(values, key, value) {
		FUZZ_CHECK(!json_is_null(value));
		FUZZ_CHECK(json_object_get(meta, key));
		check_mirror(json_is_object(value) ? value : NULL, json_object_get(meta, key));
	}
	json_object_foreach(meta, key, value)
		FUZZ_CHECK(key[0] == '$' || json_object_get(values, key));
}

/* RFC 7396, as a device does it. */
static void
merge_as_device(json_t *values, json_t *news)
{
	const char *key;
	json_t *value, *inner;

	json_object_foreach(news, key, value) {
		if (json_is_null(value)) {
			json_object_del(values, key);
			continue;
		}
		inner = json_object_get(values, key);
		if (json_is_object(value) && !json_is_object(inner)) {
			json_object_set_new(values, key, json_object());
			inner = json_object_get(values, key);
		}
		if (json_is_object(value))
			merge_as_device(inner, value);
		else
			json_object_set_new(values, key, json_deep_copy(value));
	}
}

static void
check_news(const struct twin *before, const struct twin *after, const struct twin_change *change)
{
	OWN_LIB(json_t) news = twin_desired_news(before, after, change);
	OWN_LIB(json_t) held = json_deep_copy(before->desired.values);

	merge_as_device(held, news);
	FUZZ_CHECK(json_integer_value(json_object_get(held, "$version")) == after->desired.version);
	json_object_del(held, "$version");
	FUZZ_CHECK(json_equal(held, after->desired.values));
}

static void
apply(struct twin **twin, json_t *json)
{
	struct twin_change change = { .tags = element(json, 0),
		.desired = element(json, 1),
		.reported = element(json, 2),
		.replace = json_is_true(element(json, 3)) };
	OWN(twin) after = twin_copy(*twin);
	struct err err = ERR_INIT;
	OWN_LIB(json_t) view = NULL;

	if (twin_apply(after, &change, 1772323200000, &err) < 0)
		return;
	check_mirror(after->desired.values, after->desired.meta);
	check_mirror(after->reported.values, after->reported.meta);
	if (change.desired)
		check_news(*twin, after, &change);
	view = twin_service_view(after, NULL);
	twin_free(*twin);
	*twin = GIVE(after);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(twin) twin = twin_new();
	struct slice rest = { .text = (const char *)data, .len = size }, line;
	bool more = size > 0;

	while (more) {
		struct err err = ERR_INIT;
		OWN_LIB(json_t) json = NULL;

		more = slice_cut(&rest, '\n', &line);
		json = json_parse(line.text, line.len, &err);
		if (json)
			apply(&twin, json);
	}
	return 0;
}
