/* SPDX-License-Identifier: Apache-2.0 */
/* Views of devices. */
#include "gateway/local/device_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

static json_t *
time_json(int64_t at)
{
	char text[CLOCK_TEXT_LEN];

	return at > 0 ? json_string(clock_text(at, text)) : json_null();
}

/* -- One ------------------------------------------------------------------------------------------------------------------------------------ */

static json_t *
decision_json(const struct decision *last, char *detail)
{
	if (detail)
		text_repair_utf8(detail);
	return json_pack("{s:o, s:s, s:s?, s:s, s:s, s:I, s:I}", "at", time_json(last->wall), "reason",
		reason_row(last->cause)->code, "detail", detail, "shown", tally_shown_name(last->shown), "peer", last->peer,
		"accepted", (json_int_t)last->n_accepted, "refused", (json_int_t)last->n_refused);
}

static json_t *
end_json(const struct decision *last)
{
	return json_pack("{s:o, s:s}", "at", time_json(last->ended_wall), "reason", reason_row(last->ended)->code);
}

static const char *
auth_name(enum identity_auth auth)
{
	static const char *const names[] = { [IDENTITY_AUTH_NONE] = "none",
		[IDENTITY_AUTH_SAS] = "sas",
		[IDENTITY_AUTH_THUMBPRINT] = "selfSigned",
		[IDENTITY_AUTH_CA] = "certificateAuthority" };

	return names[auth];
}

static void
add_record(json_t *one, const struct identity *record, const struct confirmation *confirmed)
{
	int64_t age_s = confirmation_age_s(confirmed, clock_wall(), clock_boot_ms());

	json_object_set_new(one, "status", json_string(record->enabled ? "enabled" : "disabled"));
	json_object_set_new(one, "auth", json_string(auth_name(record->auth)));
	json_object_set_new(one, "confirmed_at", time_json(clock_wall() - age_s));
	json_object_set_new(one, "confirmed_for_s", json_integer((json_int_t)age_s));
	json_object_set_new(one, "is_edge", json_boolean(record->is_edge));
	if (record->auth != IDENTITY_AUTH_THUMBPRINT)
		return;
	json_object_set_new(one, "thumbprints", json_pack("[s?, s?]", record->thumbprints[0], record->thumbprints[1]));
}

static json_t *
one_json(const struct device_view *view, const char *device_id, const char *module_id, const struct identity *record,
	const struct confirmation *confirmed)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	OWN_TEXT detail = decisions_detail(view->decisions, name);
	struct decision last = { .ended = OK };
	bool is_known = decisions_find(view->decisions, name, &last);
	json_t *one = json_pack("{s:s, s:s?, s:b, s:o, s:o}", "device", device_id, "module", module_id, "connected",
		directory_is_connected(view->directory, name), "last_decision",
		is_known ? decision_json(&last, detail) : json_null(), "last_end",
		last.ended != OK ? end_json(&last) : json_null());

	if (record)
		add_record(one, record, confirmed);
	return one;
}

json_t *
device_view_show(const struct device_view *view, const char *device_id, const char *module_id)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	struct confirmation confirmed = { 0 };
	OWN(identity) record = scope_find_aged(view->scope, device_id, module_id, &confirmed);
	struct decision last;

	if (!record && !decisions_find(view->decisions, name, &last))
		return NULL;
	return one_json(view, device_id, module_id, record, &confirmed);
}

/* -- All ------------------------------------------------------------------------------------------------------------------------------------ */

struct names {
	char **item;
	size_t n, room;
};

static void
add_name(void *arg, const struct identity *identity)
{
	struct names *names = arg;

	if (names->n == names->room) {
		names->room = names->room ? 2 * names->room : 64;
		names->item = mem_resize(names->item, names->room * sizeof(*names->item));
	}
	names->item[names->n++] = identity_name(identity->device_id, identity->module_id);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
add_one(const struct device_view *view, json_t *list, char *name)
{
	char *slash = strchr(name, '/');
	OWN_TEXT device_id = slash ? mem_textn(name, (size_t)(slash - name)) : mem_text(name);
	const char *module_id = slash ? slash + 1 : NULL;
	struct confirmation confirmed = { 0 };
	OWN(identity) record = scope_find_aged(view->scope, device_id, module_id, &confirmed);

	if (record) /* or it went meanwhile */
		json_array_append_new(list, one_json(view, device_id, module_id, record, &confirmed));
}

json_t *
device_view_list(const struct device_view *view, const char *after, size_t most)
{
	struct names names = { 0 };
	json_t *list = json_array(), *next = json_null();
	size_t n = 0;

	scope_each(view->scope, add_name, &names);
	if (names.n > 0)
		qsort(names.item, names.n, sizeof(*names.item), compare);
	for (size_t i = 0; i < names.n; i++) {
		if (n < most && (!after || strcmp(names.item[i], after) > 0)) {
			add_one(view, list, names.item[i]);
			n++;
			if (n == most && i + 1 < names.n)
				next = json_string(names.item[i]);
		}
		mem_free(names.item[i]);
	}
	mem_free(names.item);
	return json_pack("{s:o, s:o}", "devices", list, "next", next);
}
