/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the gateway tells its own box, over plain HTTP: /metrics, /healthz and /readyz on a TCP port, for who collects them; these and what an operator asks for and does (local_api.h) on a
 * unix socket in its state folder, which only root and the gateway's own user reach. */

#include "base/pool.h"
#include "gateway/local/local_api.h"
#include "net/loop.h"

struct local_door_config {
	struct loop *loop;
	struct local_api api;
	const char *metrics_address;
	int metrics_port; /* -1: none; 0: a free one */
	const char *control_path;
};

struct local_door;
/* All of it is borrowed.  Listens when it returns. */
struct local_door *local_door_open(const struct local_door_config *config, struct err *err);
int local_door_metrics_port(const struct local_door *door); /* -1: none */
void local_door_shut(struct local_door
		*door); /* after the loops, before what it looks at goes: no more accepts, and nothing is being answered */
void local_door_free(struct local_door *door); /* after the loops are finished */
