/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside keyd: the service put together. */

#include "common/principal.h"
#include "common/route.h"
#include "keyd/key_store.h"

struct keyd {
	struct key_store *store;
	struct principals principals;
	struct secret validation_key;
};

/* What a socket is bound to: the principal whose socket it is, or NULL: whoever's user id says. */
struct keyd_door {
	struct keyd *keyd;
	const struct principal *principal;
};

extern const struct route_table keyd_routes;
