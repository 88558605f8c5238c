/* SPDX-License-Identifier: Apache-2.0 */
/* Pair by pair, written anew: what a client did not encode is encoded then (input_bag.h). */
#include "gateway/inputs/input_bag.h"

#include "base/mem.h"
#include "base/text.h"
#include "wire/property_bag.h"

static bool
is_left_out(const char *name)
{
	static const char *const names[] = { "$.on", "$.cdid", "$.cmid" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (text_is(names[i], name))
			return true;
	return false;
}

void
input_bag_make(struct buf *out, struct slice bag, const char *device_id, const char *module_id)
{
	struct property_bag properties;

	property_put(out, "$.cdid", device_id);
	if (module_id)
		property_put(out, "$.cmid", module_id);
	property_bag_init(&properties, bag);
	while (property_bag_next(&properties))
		if (!is_left_out(buf_text(&properties.name)))
			property_put(out, buf_text(&properties.name), properties.has_value ? buf_text(&properties.value) : NULL);
	property_bag_clear(&properties);
}
