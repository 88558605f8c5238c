/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A hub's REST API for its operator: requests signed with a policy's key, over a connection whose server is judged. */

#include <stdbool.h>

#include "pki/chain.h"
#include "wire/connstr.h"
#include "wire/json.h"

struct hub_session {
	struct connstr *hub; /* its HostName may carry a port */
	struct anchors *anchors;
	const char *connect_to; /* an address, or NULL; borrowed */
};

/* By the connection string of a policy, and the file of the roots that the hub's certificate is trusted by. */
int hub_session_open(
	struct hub_session *s, const char *connection_string, const char *ca_path, const char *connect_to, struct err *err);
void hub_session_clear(struct hub_session *s);

/* path: "devices/ID".  body may be NULL and is borrowed; *out belongs to the caller, and is NULL where the answer is empty. */
int hub_session_request(struct hub_session *s, const char *method, const char *path, const json_t *body, bool replace, json_t **out,
	struct err *err);
char *hub_device_path(const char *device_id);
