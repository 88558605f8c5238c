/* SPDX-License-Identifier: Apache-2.0 */
/* Twins as JSON (twin_doc.h).  A change is looked at as a whole before anything is merged, so that only the size, which depends on what was there, is left to
 * be judged after. */
#include "wire/twin_doc.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

#define NEVER "0001-01-01T00:00:00Z"
#define FIRST_ETAG "AAAAAAAAAAE=" /* a constant is enough: that twin is always the same */

/* -- Life ------------------------------------------------------------------------------------------------------------------------- */

static struct twin_section
section_new(void)
{
	return (struct twin_section){ .values = json_object(), .meta = json_pack("{s:s}", "$lastUpdated", NEVER), .version = 1 };
}

struct twin *
twin_new(void)
{
	struct twin *twin = NEW(twin);

	twin->tags = json_object();
	twin->desired = section_new();
	twin->reported = section_new();
	twin->etag = mem_text(FIRST_ETAG);
	twin->version = 1;
	return twin;
}

static struct twin_section
section_copy(const struct twin_section *s)
{
	return (struct twin_section){ .values = json_deep_copy(s->values), .meta = json_deep_copy(s->meta), .version = s->version };
}

struct twin *
twin_copy(const struct twin *from)
{
	struct twin *twin = NEW(twin);

	twin->tags = json_deep_copy(from->tags);
	twin->desired = section_copy(&from->desired);
	twin->reported = section_copy(&from->reported);
	twin->etag = mem_text(from->etag);
	twin->model_id = mem_text(from->model_id);
	twin->version = from->version;
	return twin;
}

static void
section_clear(struct twin_section *s)
{
	json_decref(s->values);
	json_decref(s->meta);
}

void
twin_free(struct twin *twin)
{
	if (!twin)
		return;
	json_decref(twin->tags);
	section_clear(&twin->desired);
	section_clear(&twin->reported);
	mem_free(twin->etag);
	mem_free(twin->model_id);
	mem_free(twin);
}

/* -- What may be written ------------------------------------------------------------------------------------------------------------ */

/* U+0080 to U+009F are control characters as well: two bytes in UTF-8. */
static bool
has_late_control(const char *text)
{
	for (; *text; text++)
		if ((uint8_t)text[0] == 0xc2 && (uint8_t)text[1] >= 0x80 && (uint8_t)text[1] <= 0x9f)
			return true;
	return false;
}

static int
check_key(const char *key, struct err *err)
{
	size_t len = strlen(key);

	if (len > TWIN_KEY_MAX)
		return err_set(err, ERR_INVALID, "a name has %zu bytes; at most %d are allowed", len, TWIN_KEY_MAX);
	if (strpbrk(key, ".$ ") || text_has_control(key, len) || has_late_control(key))
		return err_set(err, ERR_INVALID, "the name '%.100s' has a dot, a dollar sign, a space or a control character", key);
	return 0;
}

static int check_value(json_t *value, int depth, struct err *err);

static int
check_members(json_t *object, int depth, struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
		if (check_key(key, err) < 0 || check_value(value, depth + 1, err) < 0)
			return -1;
	return 0;
}

static int
check_elements(json_t *array, int depth, struct err *err)
{
	json_t *value;
	size_t i;

	json_array_foreach(array, i, value)
		if (check_value(value, depth + 1, err) < 0)
			return -1;
	return 0;
}

/* `depth` counts the containers around it, without the section itself. */
static int
check_value(json_t *value, int depth, struct err *err)
{
	json_int_t number = json_integer_value(value); /* 0 for all else */

	if ((json_is_object(value) || json_is_array(value)) && depth > TWIN_DEPTH_MAX)
		return err_set(err, ERR_INVALID, "it is nested deeper than %d", TWIN_DEPTH_MAX);
	if (json_is_object(value))
		return check_members(value, depth, err);
	if (json_is_array(value))
		return check_elements(value, depth, err);
	if (json_string_length(value) > TWIN_STRING_MAX)
		return err_set(err, ERR_INVALID, "a text has %zu bytes; at most %d are allowed", json_string_length(value),
			TWIN_STRING_MAX);
	if (number > TWIN_INTEGER_MAX || number < -TWIN_INTEGER_MAX)
		return err_set(err, ERR_INVALID, "%lld is beyond +-%lld", (long long)number, (long long)TWIN_INTEGER_MAX);
	return 0;
}

static bool
is_read_only(const char *key)
{
	return text_is(key, "$version") || text_is(key, "$metadata");
}

static int
check_section(json_t *section, struct err *err)
{
	const char *key;
	json_t *value;

	if (json_is_null(section))
		return 0;
	if (!json_is_object(section))
		return err_set(err, ERR_INVALID, "it is not a JSON object");
	json_object_foreach(section, key, value)
		if (!is_read_only(key) && (check_key(key, err) < 0 || check_value(value, 1, err) < 0))
			return -1;
	return 0;
}

/* -- How much it is: characters of names and texts, 8 a number, 4 a boolean ------------------------------------------------------------ */

static size_t
n_characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((uint8_t)*text & 0xc0) != 0x80;
	return n;
}

static size_t
size_of(json_t *value)
{
	const char *key;
	json_t *member;
	size_t i, size = 0;

	if (json_is_string(value))
		return n_characters(json_string_value(value));
	if (json_is_number(value))
		return 8;
	json_object_foreach(value, key, member)
		size += n_characters(key) + size_of(member);
	/* An element counts even when there is nothing in it: no list is endless. */
	json_array_foreach(value, i, member)
		size += 2 + size_of(member);
	return json_is_object(value) || json_is_array(value) ? size : 4;
}

static int
check_size(json_t *section, size_t max, struct err *err)
{
	size_t size = size_of(section);

	return size <= max ? 0 : err_set(err, ERR_LIMIT, "it would have a size of %zu; at most %zu are allowed", size, max);
}

/* -- Merging ----------------------------------------------------------------------------------------------------------------------------- */

struct stamp {
	const char *when;
	int64_t version;
};

static void
mark(json_t *meta, const struct stamp *stamp)
{
	if (!meta)
		return;
	json_object_set_new(meta, "$lastUpdated", json_string(stamp->when));
	json_object_set_new(meta, "$lastUpdatedVersion", json_integer(stamp->version));
}

static void merge(json_t *values, json_t *meta, json_t *patch, const struct stamp *stamp);

/* The object that stands at `key`, or a new one in the place of what stands there. */
static json_t *
object_at(json_t *values, const char *key, bool keep)
{
	json_t *there = json_object_get(values, key);

	if (keep && json_is_object(there))
		return there;
	json_object_set_new(values, key, json_object());
	return json_object_get(values, key);
}

static void
put_member(json_t *values, json_t *meta, const char *key, json_t *value, const struct stamp *stamp)
{
	bool is_object = json_is_object(value), merges = is_object && json_is_object(json_object_get(values, key));
	json_t *inner_meta = meta ? object_at(meta, key, merges) : NULL;

	if (is_object) {
		merge(object_at(values, key, true), inner_meta, value, stamp);
		return;
	}
	json_object_set_new(values, key, json_deep_copy(value));
	mark(inner_meta, stamp);
}

/* Only the section's own level has read-only names: below it check_section has refused them. */
static void
merge(json_t *values, json_t *meta, json_t *patch, const struct stamp *stamp)
{
	const char *key;
	json_t *value;

	mark(meta, stamp);
	json_object_foreach(patch, key, value) {
		if (is_read_only(key))
			continue;
		if (!json_is_null(value)) {
			put_member(values, meta, key, value, stamp);
			continue;
		}
		json_object_del(values, key);
		if (meta)
			json_object_del(meta, key);
	}
}

void
twin_merge(json_t *values, json_t *patch)
{
	merge(values, NULL, patch, NULL);
}

static int
apply_section(json_t *values, json_t *meta, json_t *change, bool replace, const struct stamp *stamp, size_t max, struct err *err)
{
	if (check_section(change, err) < 0)
		return -1;
	if (replace || json_is_null(change)) {
		json_object_clear(values);
		json_object_clear(meta);
	}
	merge(values, meta, change, stamp); /* JSON null has no members */
	return check_size(values, max, err);
}

static int
apply_properties(struct twin_section *s, json_t *change, bool replace, int64_t now_ms, struct err *err)
{
	char when[CLOCK_TEXT_LEN];
	struct stamp stamp = { .when = clock_text_ms(now_ms, when), .version = ++s->version };

	return apply_section(s->values, s->meta, change, replace, &stamp, TWIN_PROPERTIES_MAX, err);
}

int
twin_apply(struct twin *twin, const struct twin_change *change, int64_t now_ms, struct err *err)
{
	bool replace = change->replace;

	if (change->tags && apply_section(twin->tags, NULL, change->tags, replace, NULL, TWIN_TAGS_MAX, err) < 0)
		return err_wrap(err, "tags");
	if (change->desired && apply_properties(&twin->desired, change->desired, replace, now_ms, err) < 0)
		return err_wrap(err, "desired properties");
	if (change->reported && apply_properties(&twin->reported, change->reported, replace, now_ms, err) < 0)
		return err_wrap(err, "reported properties");
	twin->version++;
	return 0;
}

/* -- What the device is told ----------------------------------------------------------------------------------------------------------------- */

json_t *
twin_difference(json_t *before, json_t *after)
{
	json_t *out = json_object(), *value, *was;
	const char *key;

	json_object_foreach(before, key, value)
		if (!json_object_get(after, key))
			json_object_set_new(out, key, json_null());
	json_object_foreach(after, key, value) {
		was = json_object_get(before, key);
		if (was && json_equal(was, value))
			continue;
		json_object_set_new(out, key,
			json_is_object(was) && json_is_object(value) ? twin_difference(was, value) : json_deep_copy(value));
	}
	return out;
}

json_t *
twin_desired_news(const struct twin *before, const struct twin *after, const struct twin_change *change)
{
	bool is_merge = !change->replace && json_is_object(change->desired);
	json_t *news = is_merge ? json_deep_copy(change->desired) : twin_difference(before->desired.values, after->desired.values);

	json_object_del(news, "$metadata");
	json_object_set_new(news, "$version", json_integer(after->desired.version));
	return news;
}

/* -- How it is seen ------------------------------------------------------------------------------------------------------------------------------ */

static json_t *
section_view(const struct twin_section *s, bool with_meta)
{
	json_t *view = json_deep_copy(s->values);

	if (with_meta)
		json_object_set_new(view, "$metadata", json_deep_copy(s->meta));
	json_object_set_new(view, "$version", json_integer(s->version));
	return view;
}

json_t *
twin_device_view(const struct twin *twin)
{
	return json_pack(
		"{s:o, s:o}", "desired", section_view(&twin->desired, false), "reported", section_view(&twin->reported, false));
}

/* Members of the record that stand in the twin, by their names here and there. */
static const struct {
	const char *twin, *record;
} shown_of_record[] = {
	{ "deviceEtag", "etag" },
	{ "status", "status" },
	{ "statusReason", "statusReason" },
	{ "statusUpdateTime", "statusUpdatedTime" },
	{ "connectionState", "connectionState" },
	{ "lastActivityTime", "lastActivityTime" },
	{ "capabilities", "capabilities" },
	{ "deviceScope", "deviceScope" },
	{ "parentScopes", "parentScopes" },
};

void
twin_put_record(json_t *view, const json_t *record)
{
	const json_t *authentication = json_object_get(record, "authentication");

	json_object_set_new(view, "status", json_string("enabled")); /* a module's record has none */
	for (size_t i = 0; i < COUNT(shown_of_record); i++)
		if (json_object_get(record, shown_of_record[i].record))
			json_object_set(view, shown_of_record[i].twin, json_object_get(record, shown_of_record[i].record));
	json_object_set(view, "authenticationType", json_object_get(authentication, "type"));
	json_object_set(view, "x509Thumbprint", json_object_get(authentication, "x509Thumbprint"));
}

json_t *
twin_service_view(const struct twin *twin, const json_t *identity)
{
	static const char *const same[] = { "deviceId", "moduleId", "cloudToDeviceMessageCount" };
	json_t *view = json_object();

	for (size_t i = 0; i < COUNT(same); i++)
		if (json_object_get(identity, same[i]))
			json_object_set(view, same[i], json_object_get(identity, same[i]));
	twin_put_record(view, identity);
	json_object_set_new(view, "etag", json_string(twin->etag));
	json_object_set_new(view, "version", json_integer(twin->version));
	json_object_set_new(view, "modelId", json_string(twin->model_id ? twin->model_id : ""));
	json_object_set_new(view, "tags", json_deep_copy(twin->tags));
	json_object_set_new(view, "properties",
		json_pack("{s:o, s:o}", "desired", section_view(&twin->desired, true), "reported",
			section_view(&twin->reported, true)));
	return view;
}
