/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The device API of provisioning over MQTT 3.1.1 (hub 6.2): CONNECT with the registration in client id and user name, one subscription, questions as PUBLISH, answers by $rid.  The
 * registrar judges CONNECT and each question anew with the evidence of the connection.
 *
 * Nothing is kept for a device: every session is clean.  A connection has one question at a time; what it sends meanwhile waits unread. */

#include "hub/provisioning/provisioning.h"

/* What to give a listener or a WebSocket; its user is the struct provisioning. */
const struct conn_ops *provisioning_mqtt_ops(void);
void provisioning_mqtt_on_accept(struct conn *conn, void *provisioning);
