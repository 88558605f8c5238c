/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of the MQTT codec share: strings and the fixed header. */

#include "base/buf.h"
#include "base/rd.h"
#include "wire/mqtt.h"

/* MQTT 1.5.3: well-formed UTF-8 without U+0000. */
bool mqtt_text_is_good(struct slice s);
/* Of good text: U+0001 to U+001F and U+007F to U+009F, for which a receiver may close (1.5.3).  A property bag may hold them (hub 1.6: not every SDK encodes). */
bool mqtt_text_has_controls(struct slice s);
void mqtt_put_text(struct buf *out, struct slice s);
uint8_t mqtt_type_flags(enum mqtt_type type); /* MQTT 2.2.2, except for PUBLISH */
void mqtt_put_header(struct buf *out, enum mqtt_type type, uint8_t flags, size_t body);
