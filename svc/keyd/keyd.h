/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside keyd: the service put together. */

#include <pthread.h>

#include "common/principal.h"
#include "common/endpoint.h"
#include "keyd/key_store.h"

struct keyd {
	struct key_store *store;
	struct secret validation_key;
	pthread_rwlock_t principals_lock;
	struct principals principals; /* read again while keyd runs */
};

/* What a socket is bound to: the name of the principal whose socket it is, or NULL: whoever's user id says. */
struct keyd_door {
	struct keyd *keyd;
	const char *principal;
};

extern const struct endpoint_table keyd_endpoints;
