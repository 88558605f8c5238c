/* SPDX-License-Identifier: Apache-2.0 */
/* Properties are kept without $version and $metadata; merging and judging are lib/wire/twin_doc's. */
#include "gateway/twins/kept_twin.h"

#include "base/mem.h"
#include "base/text.h"
#include "gateway/twins/overlay.h"
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
	t->overlay = json_object();
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
	json_decref(t->overlay);
	json_decref(t->told);
	mem_free(t);
}

bool
kept_twin_is_of(const struct kept_twin *t, const char *generation_id)
{
	return !*generation_id || !*t->generation_id || text_is(t->generation_id, generation_id);
}

json_t *
kept_twin_to_json(const struct kept_twin *t)
{
	json_t *json =
		json_pack("{s:s, s:b, s:b, s:O, s:I, s:O, s:I, s:O, s:O}", "generation", t->generation_id, "known", t->is_known,
			"told", t->is_told, "desired", t->desired, "desiredVersion", (json_int_t)t->desired_version, "reported",
			t->reported, "reportedVersion", (json_int_t)t->reported_version, "atHub", t->at_hub, "unread", t->unread);

	if (t->ahead == 0)
		return json;
	json_object_set_new(json, "ahead", json_integer(t->ahead));
	json_object_set(json, "overlay", t->overlay);
	if (t->told)
		json_object_set(json, "goesBy", t->told);
	return json;
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
		take_object(&t->at_hub, json, "atHub", err) < 0 || take_object(&t->unread, json, "unread", err) < 0 ||
		json_find_int(json, "ahead", &t->ahead, err) < 0 || take_object(&t->overlay, json, "overlay", err) < 0 ||
		take_object(&t->told, json, "goesBy", err) < 0)
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
	overlay_join(t->unread, plain);
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

/* -- What is desired, by the hub and here ------------------------------------------------------------------------------------------------------ */

static json_t *
desired_view(const struct kept_twin *t)
{
	return overlay_view(t->desired, t->overlay);
}

static int64_t
seen_version(const struct kept_twin *t)
{
	return t->desired_version + t->ahead;
}

static json_t *
as_news(const struct kept_twin *t, json_t *change_take)
{
	json_object_set_new(change_take, "$version", json_integer(seen_version(t)));
	return change_take;
}

/* The hub has written this; `desired` is what that makes of all of it. */
static void
take_desired(struct kept_twin *t, json_t *written, json_t *desired, int64_t version)
{
	OWN_LIB(json_t) view = NULL;

	overlay_yield(t->overlay, written);
	view = overlay_view(desired, t->overlay);
	json_decref(t->overlay);
	t->overlay = overlay_of(desired, view);
	json_decref(t->desired);
	t->desired = json_incref(desired);
	t->desired_version = version;
}

/* What the hub wrote, and what the device could not see of the hub's so far. */
static json_t *
news_of_patch(const struct kept_twin *t, json_t *before, const json_t *patch)
{
	OWN_LIB(json_t) view = desired_view(t);
	OWN_LIB(json_t) difference = twin_difference(before, view);
	json_t *news = without_reserved(patch);

	overlay_join(news, difference);
	return as_news(t, news);
}

enum kept_patch
kept_twin_patch(struct kept_twin *t, int64_t version, json_t *patch, json_t **news)
{
	OWN_LIB(json_t) before = NULL;
	OWN_LIB(json_t) desired = NULL;

	*news = NULL;
	if (!t->is_known || !json_is_object(patch))
		return KEPT_GAP;
	if (version == t->desired_version)
		return KEPT_OLD;
	if (version != t->desired_version + 1)
		return KEPT_GAP;
	before = desired_view(t);
	desired = overlay_view(t->desired, patch);
	take_desired(t, patch, desired, version);
	*news = news_of_patch(t, before, patch);
	return KEPT_APPLIED;
}

/* What the device sees has a version that it has not seen, whatever the hub counts from now on. */
static void
keep_ahead(struct kept_twin *t, int64_t least)
{
	if (t->ahead > 0 && seen_version(t) < least)
		t->ahead = least - t->desired_version;
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

/* What the hub wrote while it could not be heard shows only where it made a difference.  What the device is told of it, or NULL. */
static json_t *
take_all_desired(struct kept_twin *t, json_t *desired, int64_t version)
{
	bool is_to_be_told = t->is_known || t->is_told;
	int64_t seen = seen_version(t);
	OWN_LIB(json_t) before = desired_view(t);
	OWN_LIB(json_t) written = twin_difference(t->desired, desired);
	OWN_LIB(json_t) view = NULL;
	OWN_LIB(json_t) change = NULL;
	bool is_news;

	take_desired(t, written, desired, version);
	view = desired_view(t);
	change = twin_difference(before, view);
	is_news = json_object_size(change) > 0;
	keep_ahead(t, seen + is_news);
	return is_news && is_to_be_told ? as_news(t, json_incref(change)) : NULL;
}

/* The device is to see `view`. */
static void
change_here(struct kept_twin *t, json_t *before, json_t *view)
{
	if (!t->told)
		t->told = json_incref(before);
	json_decref(t->overlay);
	t->overlay = overlay_of(t->desired, view);
	t->ahead++;
}

int
kept_twin_full(struct kept_twin *t, const json_t *view, json_t **news, struct err *err)
{
	json_t *desired_section = NULL, *reported_section = NULL;
	OWN_LIB(json_t) desired = NULL;
	OWN_LIB(json_t) reported = NULL;
	int64_t desired_version = 0, reported_version = 0;

	if (!json_is_object(view) || json_find_object(view, "desired", &desired_section, err) < 0 ||
		json_find_object(view, "reported", &reported_section, err) < 0 ||
		(desired_section && json_find_int(desired_section, "$version", &desired_version, err) < 0) ||
		(reported_section && json_find_int(reported_section, "$version", &reported_version, err) < 0))
		return err_set(err, ERR_INVALID, "what the hub answered is no twin");
	desired = without_reserved(desired_section);
	reported = without_reserved(reported_section);
	*news = take_all_desired(t, desired, desired_version);
	take_reported(t, reported);
	t->reported_version = reported_version;
	t->is_known = true;
	return 0;
}

/* By the rules that are the hub's: on the document that the device sees. */
int
kept_twin_desire(struct kept_twin *t, json_t *patch, json_t **news, struct err *err)
{
	OWN(twin) twin = twin_new();
	OWN_LIB(json_t) before = desired_view(t);
	struct twin_change change = { .desired = patch };

	if (!json_is_object(patch))
		return err_set(err, ERR_INVALID, "desired properties are a JSON object");
	json_decref(twin->desired.values);
	twin->desired.values = json_deep_copy(before);
	if (twin_apply(twin, &change, 0, err) < 0)
		return -1;
	change_here(t, before, twin->desired.values);
	*news = as_news(t, without_reserved(patch));
	return 0;
}

void
kept_twin_yield(struct kept_twin *t, json_t **news)
{
	OWN_LIB(json_t) before = desired_view(t);

	*news = NULL;
	if (json_object_size(t->overlay) == 0)
		return;
	change_here(t, before, t->desired);
	*news = as_news(t, twin_difference(before, t->desired));
}

json_t *
kept_twin_untold(const struct kept_twin *t)
{
	OWN_LIB(json_t) view = t->told ? desired_view(t) : NULL;
	json_t *news = t->told ? twin_difference(t->told, view) : NULL;

	if (json_object_size(news) > 0)
		return as_news(t, news);
	json_decref(news);
	return NULL;
}

bool
kept_twin_told(struct kept_twin *t)
{
	bool is_new = t->told != NULL;

	json_decref(t->told);
	t->told = NULL;
	return is_new;
}

/* -- How it is seen -------------------------------------------------------------------------------------------------------------------------- */

static json_t *
section(json_t *values, int64_t version)
{
	json_t *view = json_deep_copy(values);

	json_object_set_new(view, "$version", json_integer(version));
	return view;
}

static json_t *
desired_section_view(const struct kept_twin *t)
{
	OWN_LIB(json_t) view = desired_view(t);

	return section(view, seen_version(t));
}

json_t *
kept_twin_view(const struct kept_twin *t)
{
	return json_pack("{s:o, s:o}", "desired", desired_section_view(t), "reported", section(t->reported, t->reported_version));
}

json_t *
kept_twin_inspect(const struct kept_twin *t)
{
	json_t *hub = t->is_known ? json_pack("{s:o, s:o}", "desired", section(t->desired, t->desired_version), "reported",
					    section(t->at_hub, t->reported_version))
				  : json_null();

	return json_pack("{s:o, s:o, s:o, s:b}", "properties", kept_twin_view(t), "local", json_deep_copy(t->overlay), "hub", hub,
		"due", kept_twin_is_due(t));
}
