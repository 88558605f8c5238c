/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Cloud-to-device messages on their way through the gateway (gateway 4.5): from the line to the session that listens, complete for the hub when the device says so.  Nothing is
 * stored here: what a device has not settled when its session ends is offered to its next session for as long as the hub still holds it for us, and is the hub's again then. */

#include "gateway/relay/attendance.h"
#include "gateway/upstream/line.h"

struct command_relays;
struct command_relays *command_relays_new(struct loop *loop, const struct audience *audience);
void command_relays_free(struct command_relays *relays); /* after the lines */

/* On the loop of the line. */
void command_relays_attend(struct command_relays *relays, struct line *line, const struct attendee *attendee);
/* On the loop of the session: the device has completed it. */
void command_relays_settle(struct command_relays *relays, struct lines *lines, const struct subject *subject, uint64_t command_id);
