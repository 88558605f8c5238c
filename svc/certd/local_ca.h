/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The CA on this box that issues certificates.  Given by the operator: nobody renews it but he, and what it issues ends with it, so its end is watched.  Or issued itself, as cert_issuance says
 * under its id: made when it is first needed, and renewed with the same key, so that what it has issued stays good. */

#include "certd/issuance.h"
#include "common/renewals.h"

#define LOCAL_CA_ID "local-ca"

/* issuance is borrowed; it is issued when that has an entry for it. */
/* Before something is issued by it. */
int local_ca_ensure(const struct issuance *issuance, struct err *err);
int local_ca_watch(const struct issuance *issuance, struct renewals *renewals, struct err *err);
