/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a downstream identity has reported, as the message that routes take from /twinChangeNotifications (gateway 4.2): the payload is what was reported, as it was. */

#include "gateway/queue/queue.h"

struct twin_change {
	const char *device_id, *module_id, *generation_id; /* borrowed; module_id NULL: a device */
	const char *reported;				   /* JSON */
	bool is_own;					   /* of a module of the gateway's own device */
};
/* false: no route takes it; most are for nobody.  On the lane's thread; `storing` is done there, perhaps at once, with a reason when it could not be kept for who is to get it. */
bool twin_change_put(struct queue_lane *lane, const struct twin_change *change, struct queue_storing *storing);
