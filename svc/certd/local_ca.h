/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The CA on this box that issues certificates, given by the operator: nobody renews it but he, and what it issues ends with it, so its end is watched. */

#include "certd/cert_store.h"
#include "common/renewals.h"

#define LOCAL_CA_ID "local-ca"

void local_ca_watch(struct cert_store *store, struct renewals *renewals); /* both borrowed */
