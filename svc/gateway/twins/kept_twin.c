/* SPDX-License-Identifier: Apache-2.0 */
/* Properties are kept without $version and $metadata; merging and judging are lib/wire/twin_doc's. */
#include "gateway/twins/kept_twin.h"

#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"
#include "wire/twin_doc.h"

struct kept_twin *
kept_twin_new(const char *generation_id)
{
	struct kept_twin *t = NEW(kept_twin);

	t->generation_id = mem_text(generation_id);
	t->desired = json_object();
	t->reported = json_object();
	t->at_hub = json_object();
	t->unread = json_object();
	return t;
}

void
kept_twin_free(struct kept_twin *t)
{
	if (!t)
		return;
	mem_free(t->generation_id);
	json_decref(t->desired);
	json_decref(t->reported);
	json_decref(t->at_hub);
	json_decref(t->unread);
	mem_free(t);
}

json_t *
kept_twin_to_json(const struct kept_twin *t)
{
	return json_pack("{s:s, s:b, s:b, s:O, s:I, s:O, s:I, s:O, s:O}", "generation", t->generation_id, "known", t->is_known,
		"told", t->is_told, "desired", t->desired, "desiredVersion", (json_int_t)t->desired_version, "reported",
		t->reported, "reportedVersion", (json_int_t)t->reported_version, "atHub", t->at_hub, "unread", t->unread);
}

static int
take_object(json_t **out, const json_t *json, const char *key, struct err *err)
{
	json_t *found = NULL;

	if (json_find_object(json, key, &found, err) < 0)
		return -1;
	if (!found)
		return 0;
	json_decref(*out);
	*out = json_incref(found);
	return 0;
}

struct kept_twin *
kept_twin_from_json(const json_t *json, struct err *err)
{
	const char *generation = NULL;
	OWN(kept_twin) t = NULL;

	if (json_get_text(json, "generation", &generation, err) < 0)
		return NULL;
	t = kept_twin_new(generation);
	if (json_find_bool(json, "known", &t->is_known, err) < 0 || json_find_bool(json, "told", &t->is_told, err) < 0 ||
		json_find_int(json, "desiredVersion", &t->desired_version, err) < 0 ||
		json_find_int(json, "reportedVersion", &t->reported_version, err) < 0 ||
		take_object(&t->desired, json, "desired", err) < 0 || take_object(&t->reported, json, "reported", err) < 0 ||
		take_object(&t->at_hub, json, "atHub", err) < 0 || take_object(&t->unread, json, "unread", err) < 0)
		return NULL;
	return GIVE(t);
}

/* -- What the device reports -------------------------------------------------------------------------------------------------------------- */

static json_t *
without_reserved(const json_t *section)
{
	json_t *copy = json_is_object(section) ? json_deep_copy(section) : json_object();

	json_object_del(copy, "$version");
	json_object_del(copy, "$metadata");
	return copy;
}

/* One merge that does what `first` and then `second` do, nulls kept. */
static void
join(json_t *first, json_t *second)
{
	const char *key;
	json_t *value, *there;

	json_object_foreach(second, key, value) {
		there = json_object_get(first, key);
		if (json_is_object(there) && json_is_object(value))
			join(there, value);
		else
			json_object_set_new(first, key, json_deep_copy(value));
	}
}

int
kept_twin_report(struct kept_twin *t, json_t *patch, struct err *err)
{
	OWN(twin) twin = twin_new();
	struct twin_change change = { .reported = patch };
	OWN_LIB(json_t) plain = NULL;

	json_decref(twin->reported.values);
	twin->reported.values = json_deep_copy(t->reported);
	if (!json_is_object(patch))
		return err_set(err, ERR_INVALID, "reported properties are a JSON object");
	if (twin_apply(twin, &change, 0, err) < 0)
		return -1;
	json_decref(t->reported);
	t->reported = json_incref(twin->reported.values);
	if (t->is_known)
		return 0;
	plain = without_reserved(patch);
	join(t->unread, plain);
	return 0;
}

json_t *
kept_twin_push(const struct kept_twin *t)
{
	json_t *patch = t->is_known ? twin_difference(t->at_hub, t->reported) : NULL;

	if (json_object_size(patch) > 0)
		return patch;
	json_decref(patch);
	return NULL;
}

bool
kept_twin_is_due(const struct kept_twin *t)
{
	return t->is_known ? !json_equal(t->at_hub, t->reported) : json_object_size(t->unread) > 0;
}

void
kept_twin_pushed(struct kept_twin *t, json_t *patch)
{
	twin_merge(t->at_hub, patch);
	t->reported_version++;
}

void
kept_twin_refused(struct kept_twin *t)
{
	json_decref(t->reported);
	t->reported = json_deep_copy(t->at_hub);
}

/* -- What the hub tells --------------------------------------------------------------------------------------------------------------------- */

enum kept_patch
kept_twin_patch(struct kept_twin *t, int64_t version, json_t *patch)
{
	if (!t->is_known || !json_is_object(patch))
		return KEPT_GAP;
	if (version == t->desired_version)
		return KEPT_OLD;
	if (version != t->desired_version + 1)
		return KEPT_GAP;
	twin_merge(t->desired, patch);
	t->desired_version = version;
	return KEPT_APPLIED;
}

static json_t *
news_of(const struct kept_twin *t, json_t *desired, int64_t version)
{
	json_t *news = t->is_known || t->is_told ? twin_difference(t->desired, desired) : NULL;

	if (json_object_size(news) == 0) {
		json_decref(news);
		return NULL;
	}
	json_object_set_new(news, "$version", json_integer(version));
	return news;
}

/* What the device has reported and the hub does not have yet stays on top of the hub's word. */
static void
take_reported(struct kept_twin *t, json_t *at_hub)
{
	OWN_LIB(json_t) mine = t->is_known ? twin_difference(t->at_hub, t->reported) : json_incref(t->unread);

	json_decref(t->at_hub);
	json_decref(t->reported);
	t->at_hub = json_incref(at_hub);
	t->reported = json_deep_copy(at_hub);
	twin_merge(t->reported, mine);
	json_object_clear(t->unread);
}

int
kept_twin_full(struct kept_twin *t, const json_t *view, json_t **news, struct err *err)
{
	json_t *desired_view = NULL, *reported_view = NULL;
	OWN_LIB(json_t) desired = NULL;
	OWN_LIB(json_t) reported = NULL;
	int64_t desired_version = 0, reported_version = 0;

	if (!json_is_object(view) || json_find_object(view, "desired", &desired_view, err) < 0 ||
		json_find_object(view, "reported", &reported_view, err) < 0 ||
		(desired_view && json_find_int(desired_view, "$version", &desired_version, err) < 0) ||
		(reported_view && json_find_int(reported_view, "$version", &reported_version, err) < 0))
		return err_set(err, ERR_INVALID, "what the hub answered is no twin");
	desired = without_reserved(desired_view);
	reported = without_reserved(reported_view);
	*news = news_of(t, desired, desired_version);
	take_reported(t, reported);
	json_decref(t->desired);
	t->desired = json_incref(desired);
	t->desired_version = desired_version;
	t->reported_version = reported_version;
	t->is_known = true;
	return 0;
}

/* -- How it is seen -------------------------------------------------------------------------------------------------------------------------- */

static json_t *
section(json_t *values, int64_t version)
{
	json_t *view = json_deep_copy(values);

	json_object_set_new(view, "$version", json_integer(version));
	return view;
}

json_t *
kept_twin_view(const struct kept_twin *t)
{
	return json_pack("{s:o, s:o}", "desired", section(t->desired, t->desired_version), "reported",
		section(t->reported, t->reported_version));
}
