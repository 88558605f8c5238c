/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An identity that only this site knows (edge-services 1.3): a certificate for MODULE.HOSTNAME.DOMAIN that certd issues, with a key that is made for the answer and kept nowhere. */

#include <jansson.h>

#include "identityd/caller.h"

struct local_identities {
	char *certd_socket, *hostname, *domain; /* domain NULL: there are none */
};

/* The Identity JSON. */
json_t *local_identity_make(const struct local_identities *local, const char *module_id, enum local_use use, struct err *err);
