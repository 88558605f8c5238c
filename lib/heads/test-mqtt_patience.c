/* SPDX-License-Identifier: Apache-2.0 */
/* How long a client of MQTT may be silent. */
#include "heads/mqtt_session.h"
#include "t.h"

TEST("a client may be silent for one and a half times its keep-alive, to the half second")
{
	CHECK_INT(mqtt_patience_ms(1), 1500);
	CHECK_INT(mqtt_patience_ms(2), 3000);
	CHECK_INT(mqtt_patience_ms(3), 4500);
	CHECK_INT(mqtt_patience_ms(1177), 1765500);
}

TEST("no client may be silent for longer than 1767 seconds, whatever it says, or if it says nothing")
{
	CHECK_INT(mqtt_patience_ms(1178), 1767000);
	CHECK_INT(mqtt_patience_ms(65535), 1767000);
	CHECK_INT(mqtt_patience_ms(0), 1767000);
}
