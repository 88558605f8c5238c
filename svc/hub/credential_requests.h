/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A connected device asks for its next certificate (hub 1.11): it sends a CSR, and gets the chain, issued by the hub's own CA under its first credential policy.  The device can
 * connect with it at once: one that is known by thumbprint has it offered as the thumbprint to rotate to (rotation_keeper.h), one that is known by its CA needs nothing, if the
 * hub's own CA is among those that vouch for it.
 *
 * The same CSR again gets the same certificate.  Another one has to wait a minute, so that nobody fills the CA's journal. */

#include "heads/head.h"
#include "hub/provisioning/issuing.h"
#include "hub/registry/ca.h"
#include "hub/registry/rotation_keeper.h"

struct credential_requests {
	const struct issuing *issuing; /* NULL: this hub issues none.  Borrowed, like all of it */
	struct registry *registry;
	struct rotation_keeper *rotations;
	struct ca_registry *cas;
};

/* On the loop of the session, whose trust was just looked at.  for_itself: a gateway that speaks for a device has shown no key of the device, and would be it from then on, also
 * when it is above it no longer. */
void credential_requests_ask(const struct credential_requests *requests, struct head_session *session,
	const struct subject *subject, bool for_itself, const struct head_request *request, struct head_call *call);
