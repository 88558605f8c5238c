/* SPDX-License-Identifier: Apache-2.0 */
/* Objects are gone through member by member; everything else, an array too, is one property. */
#include "gateway/twins/overlay.h"

#include "wire/twin_doc.h"

json_t *
overlay_view(json_t *hubs, json_t *overlay)
{
	json_t *view = json_deep_copy(hubs);

	twin_merge(view, overlay);
	return view;
}

json_t *
overlay_of(json_t *hubs, json_t *view)
{
	return twin_difference(hubs, view);
}

void
overlay_yield(json_t *overlay, json_t *written)
{
	const char *key;
	json_t *value, *mine;

	json_object_foreach(written, key, value) {
		mine = json_object_get(overlay, key);
		if (json_is_object(mine) && json_is_object(value))
			overlay_yield(mine, value);
		if (!json_is_object(mine) || !json_is_object(value) || json_object_size(mine) == 0)
			json_object_del(overlay, key);
	}
}

void
overlay_join(json_t *first, json_t *second)
{
	const char *key;
	json_t *value, *there;

	json_object_foreach(second, key, value) {
		there = json_object_get(first, key);
		if (json_is_object(there) && json_is_object(value))
			overlay_join(there, value);
		else
			json_object_set_new(first, key, json_deep_copy(value));
	}
}
