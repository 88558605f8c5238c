/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Direct methods of downstream identities, from the hub over the line to the session and back (gateway 4.4).  While nobody listens here nothing is subscribed there, and the hub
 * answers its callers as it does for any device that is away. */

#include "gateway/relay/attendance.h"
#include "gateway/upstream/line.h"
#include "heads/method.h"

/* On the loop of the line. */
void method_relay_attend(struct line *line, struct methods *methods, unsigned wants);
