/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The gateway's port 443 (gateway 6): MQTT over WebSocket, at any path, for those who get through no other port; events of devices over HTTPS, each request for itself; and the gateway's own
 * API (front_route.h).  It has the certificate of the MQTT port, the same sessions behind it, and a decision about each caller like any other. */

#include "gateway/front/front_route.h"
#include "heads/mqtt_head.h"
#include "net/listener.h"

struct front_config {
	struct front_api api;
	struct mqtt_head *mqtt_head;	 /* whose sessions come by WebSocket, too */
	const struct head_ops *head_ops; /* behind requests of devices */
	void *backend;
	struct listener_config listener; /* its address, port, certificate and limits; the rest is filled in */
	bool is_optional;		 /* where it can't listen it goes on all the same, and says so */
};

struct front;
/* All of it is borrowed.  Listens when it returns, unless that is optional and can't be. */
struct front *front_open(struct loop *const *loops, size_t n_loops, const struct front_config *config, struct err *err);
struct listener *front_listener(struct front *front); /* NULL: it does not listen */
const char *front_problem(const struct front *front); /* why not; NULL: it does */
int front_port(const struct front *front);	      /* 0: none */
/* What gateways below have open here stands on their records, of which this has changed.  Any thread. */
void front_recheck(void *front, const struct identity *changed);
void front_shut(struct front *front); /* no more accepts */
void front_free(struct front *front); /* after the loops */
