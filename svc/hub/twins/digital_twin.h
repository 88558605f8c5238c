/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A twin as a digital twin (hub 4.5): the properties of a model and its components, without the difference between desired and reported.  Rules on JSON only.
 * A component is a member that carries "__t": "c"; a writable property is reported as {"value", "ac", "av", "ad"}. */

#include "wire/twin_doc.h"

json_t *digital_twin_view(const struct twin *twin, const char *device_id);
/* What a JSON Patch (RFC 6902: add, replace, remove; of a property, a component, or a property of one) asks of the desired properties, to be merged; NULL with a
 * sentence: it can't be meant. */
json_t *digital_twin_patch(const json_t *patch, struct err *err);
