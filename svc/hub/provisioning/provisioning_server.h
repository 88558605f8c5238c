/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The provisioning service with its endpoints, HTTPS and MQTT, on loops that are somebody's: the hub's, or those of provisioning alone.  It ends in three steps, because what is on
 * its way touches it: no new connections, no more work, gone. */

#include "hub/provisioning/issuing_status.h"
#include "hub/provisioning/provisioning.h"
#include "net/listener.h"

struct provisioning_server_config {
	struct provisioning_config provisioning;
	struct loop *const *loops;
	size_t n_loops;
	struct listener_config listen; /* address, TLS and limits of both */
	int https_port, mqtt_port;     /* 0: a free one */
	int http_port;		       /* without TLS, for the status of what is issued alone; 0: a free one */
	bool has_http;
	struct issuing_status *status; /* borrowed; NULL: somebody else tells of it, or nothing is issued */
};

struct provisioning_server;
/* Before the registry is shared and the loops run. */
struct provisioning_server *provisioning_server_open(const struct provisioning_server_config *config, struct err *err);
int provisioning_server_https_port(const struct provisioning_server *server);
int provisioning_server_http_port(const struct provisioning_server *server); /* 0: there is none */
int provisioning_server_mqtt_port(const struct provisioning_server *server);
const char *provisioning_server_id_scope(const struct provisioning_server *server);
/* All three may get NULL. */
void provisioning_server_shut(struct provisioning_server *server); /* the loops' threads have ended */
void provisioning_server_stop(struct provisioning_server *server); /* the worker is no more */
void provisioning_server_free(struct provisioning_server *server); /* the loops are gone */
