/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The roles of an edge device, kept running.
 *
 * Their sockets are opened first and handed over, so keyd, certd, identityd and edged start at once and whoever asks another waits in that one's queue; the gateway follows when edged
 * knows $edgeHub's generation.  What ends is started again, ever later if it keeps ending; what ends with SERVICE_BAD_SETTINGS is not, because the same would come of it, and what ends
 * with SERVICE_REPROVISIONED is at once.  SIGTERM ends all, users of a service before the service. */

#include "common/service.h"
#include "edge/layout.h"

struct supervisor_config {
	const struct config *config;
	const struct layout *layout;
	const struct service_options *service;
	const char *path; /* of config.toml, whole */
	/* What config.toml says now, for a change while they run: the caller owns it. */
	struct config *(*load)(void *arg, struct err *err);
	void *arg;
};

enum supervisor_end { SUPERVISOR_FAILED = -1, SUPERVISOR_STOPPED, SUPERVISOR_TO_START_ANEW };
enum supervisor_end supervisor_run(const struct supervisor_config *config, struct err *err);
