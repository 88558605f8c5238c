/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The device's own certificate, where it is issued (by EST, through certd) instead of being given: a key in keyd, the device id as common name, renewed ahead of its end with the same key. */

#include <pthread.h>

#include "common/renewal.h"
#include "keyd/client.h"

struct device_certificate {
	const char *certd, *device_id; /* borrowed */
	struct keyd_client *keyd;
	pthread_mutex_t lock;
	struct renewal_pace pace;
};

/* Before each use: afterwards there is a pair that belongs together and is valid, or a failure.  Blocks while it is issued. */
int device_certificate_ensure(struct device_certificate *device, struct err *err);
