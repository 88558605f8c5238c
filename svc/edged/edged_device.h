/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who this box is in the hub: configured, or what identityd says once it knows.  Set once, for as long as edged runs: another one ends it. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "identityd/client.h"

struct device_names {
	char *hub_name, *device_id;
};

struct edged_device {
	_Atomic(struct device_names *) names; /* NULL: not known yet */
	pthread_mutex_t lock;
	struct err why; /* it is not known; under the lock */
};

void edged_device_init(struct edged_device *device, const char *hub_name, const char *device_id); /* either NULL: not known */
void edged_device_clear(struct edged_device *device);
/* Borrowed.  NULL: ERR_UNAVAILABLE with why.  Any thread. */
const struct device_names *edged_device_names(struct edged_device *device, struct err *err);
/* Asks identityd, where it is not known.  False: identityd can't say yet; the log has why, when that is news. */
bool edged_device_ask(struct edged_device *device, const struct identityd_client *identityd);
/* Has it become another one, of another hub perhaps?  False while identityd can't say. */
bool edged_device_has_moved(struct edged_device *device, const struct identityd_client *identityd);
