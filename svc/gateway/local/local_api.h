/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What may be asked of a gateway on its own box, by method and path. */

#include "gateway/local/vitals.h"
#include "net/http_server.h"

/* What answers are made of; borrowed. */
struct local_api {
	struct vitals_sources sources;
};

enum local_caller { LOCAL_STRANGER, LOCAL_READER, LOCAL_OPERATOR };

/* On a worker: answers. */
void local_api_answer(const struct local_api *api, struct http_request *req, enum local_caller caller);
