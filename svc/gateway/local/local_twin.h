/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The operator looks at the twin of a device or module below the gateway, and says what is to be desired of it here (twins/kept_twin.h): by what is kept, also while the hub is away. */

#include "gateway/local/local_api.h"

/* On the loop of the request's connection.  All answer with what is kept then. */
void local_twin_show(const struct local_api *api, struct http_request *req, const char *const *ids);
void local_twin_set(const struct local_api *api, struct http_request *req,
	const char *const *ids); /* the body is a merge of desired properties */
void local_twin_reset(const struct local_api *api, struct http_request *req, const char *const *ids);
