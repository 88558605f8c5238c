/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What may be asked of a gateway on its own box, by method and path. */

#include "gateway/local/device_view.h"
#include "gateway/local/gateway_status.h"
#include "gateway/twins/twins.h"
#include "heads/method.h"
#include "net/http_server.h"

/* What answers are made of; borrowed. */
struct local_api {
	struct vitals_sources sources;
	struct gateway_names names;
	struct device_view devices;
	struct methods *methods;
	struct twins *twins;
};

enum local_caller { LOCAL_STRANGER, LOCAL_READER, LOCAL_OPERATOR };

/* On the loop of its connection, for what is answered later and without waiting; false: it is none of these. */
bool local_api_begin(const struct local_api *api, struct http_request *req, enum local_caller caller);
/* On a worker: answers. */
void local_api_answer(const struct local_api *api, struct http_request *req, enum local_caller caller);
