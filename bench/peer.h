/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A device of a load: one MQTT connection that does what it is told and counts answers.  It verifies the server in each handshake, as lib/device does, but it also subscribes and
 * pings, which a device of ours leaves to its keep-alive. */

#include "fleet.h"
#include "net/loop.h"
#include "net/tls.h"

struct peer;
struct peer_ops {
	void (*on_live)(struct peer *peer, void *user);				    /* CONNACK */
	void (*on_answer)(struct peer *peer, void *user);			    /* PUBACK, SUBACK or PINGRESP */
	void (*on_end)(struct peer *peer, void *user, bool by_us, const char *why); /* the last call */
};
struct peer_target {
	const char *name, *hub; /* what the server must prove; the hub in the user name */
	int port;
	struct anchors *roots;
	enum fleet_kind kind;
};
struct peer *peer_connect(struct loop *loop, const struct fleet_device *is, const struct peer_target *target,
	const struct peer_ops *ops, void *user, struct err *err);
/* Each is answered once. */
void peer_publish(struct peer *peer, const void *payload, size_t len); /* telemetry at QoS 1 */
void peer_subscribe(struct peer *peer); /* to the answers about the twin, to desired properties and to methods, in one packet */
void peer_ping(struct peer *peer);
void peer_close(struct peer *peer); /* says DISCONNECT */
void peer_drop(struct peer *peer);  /* breaks off */
