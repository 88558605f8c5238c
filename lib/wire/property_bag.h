/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Property bags in telemetry topics (hub 1.6): "key=value&key=value", percent-encoded UTF-8, "+" is a plus, a key without "="
 * has no value, a "/" at the end is overlooked.  System properties begin with "$." whichever way the dollar was written.
 *
 * Some clients send raw text where others encode (the C SDK, unless told otherwise): a key or value that does not decode to
 * UTF-8 without NUL stays as it stands, so nothing of a message is lost and no bag is bad. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/rd.h"

#define PROPERTY_BAG_MAX 262144

struct property_bag {
	struct slice rest;
	struct buf name, value; /* of the current property, decoded */
	bool has_value;
};

void property_bag_init(struct property_bag *bag, struct slice text);
bool property_bag_next(struct property_bag *bag); /* false at the end */
void property_bag_clear(struct property_bag *bag);

/* The long name of a system property: "$.mid" gives "message-id"; NULL when it is none that is known. */
const char *property_system_name(const char *name);
/* Append "name=value", with "&" before it unless out is empty; value NULL: the name alone. */
void property_put(struct buf *out, const char *name, const char *value);
