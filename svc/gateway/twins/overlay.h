/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Desired properties that were set at the gateway, on top of the hub's: the merge that makes of the hub's what the device is to go by.  A property of it holds until the hub writes that one.  Pure. */

#include <jansson.h>

/* The hub's desired properties with the overlay on top. */
json_t *overlay_view(json_t *hubs, json_t *overlay);
/* The overlay by which `hubs` is seen as `view`. */
json_t *overlay_of(json_t *hubs, json_t *view);
/* The hub has written these: what was set here of them holds no more. */
void overlay_yield(json_t *overlay, json_t *written);

/* One merge that does what `first` and then `second` do, nulls kept. */
void overlay_join(json_t *first, json_t *second);
