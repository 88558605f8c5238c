/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The TPM service's endpoints (edge-services 1.4), for identityd: they are keyd's, because one process of a device speaks to its TPM, on a socket of their own with the original's shapes.  Only
 * the user that the socket is for, and root, are answered. */

#include "common/endpoint.h"
#include "keys/tpm_registration.h"

struct tpmd_door {
	struct tpm_registration registration;
	uid_t uid;
};

extern const struct endpoint_table tpmd_endpoints;
