/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The operator calls a method of what is connected here, also while the hub is away: {"methodName", "payload", "responseTimeoutInSeconds", "connectTimeoutInSeconds"} as anywhere. */

#include "gateway/local/local_api.h"

/* On the loop of the request's connection; answers when the device has. */
void local_method_call(const struct local_api *api, struct http_request *req, const char *const *ids);
