/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What becomes of a device in a hub (hub 6.5): a pure function of its enrollment and its registration, so that whatever a kill leaves is gone on with to the same device. */

#include "auth/identity.h"
#include "hub/provisioning/registration.h"

/* NULL: its CA vouches for a certificate, and the registration does not know which.  What was issued to it lets it in, and nothing else. */
struct identity *provisioned_device(const struct enrollment *e, const struct registration *r);
/* The credentials of `wanted`, and all else as it is: it may be disabled, or have got a parent. */
struct identity *provisioned_device_renewed(const struct identity *before, const struct identity *wanted);
/* Does what is there trust exactly what is wanted? */
bool provisioned_device_is_same(const struct identity *before, const struct identity *wanted);
