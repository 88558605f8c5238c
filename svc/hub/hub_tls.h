/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* By what certificates the hub is known, on each of its two ports: an ECDSA or any other, and perhaps an RSA one beside it for old clients. */

#include "base/err.h"
#include "net/server_identity.h"

struct hub_tls_config {
	struct server_identity_paths paths; /* borrowed */
	struct tls_cache *cache;	    /* of sessions, which devices resume on MQTT; borrowed */
};
struct hub_tls {
	struct hub_tls_config config;
	struct tls_holder *mqtt, *https; /* owned; what is there, and NULL before it is opened */
};
int hub_tls_open(struct hub_tls *tls, const struct hub_tls_config *config, struct err *err);
/* From the files again.  -1: what was in use stays. */
int hub_tls_reload(struct hub_tls *tls, struct err *err);
void hub_tls_close(struct hub_tls *tls); /* after the listeners */
