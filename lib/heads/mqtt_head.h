/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* MQTT 3.1.1 as a hub or gateway speaks it to devices (hub 1.1 to 1.6, clients-observed 3): CONNECT with identity in client id and user name, CONNACK
 * codes of hub 1.3, exact filters, telemetry with PUBACK after the durable write, will, kept subscriptions, keep-alive, token expiry. */

#include "heads/head.h"
#include "net/listener.h"

struct mqtt_head_config {
	const char *who; /* "hub", "gateway" */
	const struct head_ops *ops;
	void *backend;
	struct directory *directory;
	size_t max_packet;  /* 0: 256 KiB of message plus topic */
	size_t max_unacked; /* stop reading above this many; 0: 256 */
};
struct mqtt_head;
struct mqtt_head *mqtt_head_new(const struct mqtt_head_config *config);
void mqtt_head_free(struct mqtt_head *head);
/* What to give a listener. */
const struct conn_ops *mqtt_head_ops(void);
void mqtt_head_on_accept(struct conn *conn, void *head);
