/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What becomes of a device in a hub (hub 6.5): a pure function of its enrollment and of what it showed, so that whatever a kill leaves is gone on with to the same device. */

#include "auth/identity.h"
#include "hub/provisioning/enrollment.h"

/* What is there (before; NULL: nothing) keeps all but its credentials: it may be disabled, or have got a parent.  chain: what the handshake proved, for an enrollment by a CA. */
struct identity *provisioned_device(const struct enrollment *e, const struct certs *chain, const char *registration_id,
	const char *device_id, const struct identity *before);
