/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where gateways open carriers (net/strand.h) to a hub, or to a gateway above them: GET /devices/{gateway}/modules/$edgeHub/strands with an upgrade to STRAND_PROTOCOL, on the HTTPS port, let in like any
 * request of that $edgeHub.  Each strand is then a connection of the MQTT head, where whoever comes on it is judged by his own CONNECT, exactly as on the MQTT port: the carrier lets nobody in.
 *
 * A carrier stands on the trust in its gateway.  When that is withdrawn it ends at once, with all that it carries.  When the token that opened it ends, it takes no further strand, and ends with the last one it has, each of
 * which has a token of its own; the gateway opens another carrier before.
 *
 * A gateway has at most four: it needs two while one follows the other, and others may be dead without our knowing, so a fifth ends the oldest.  On one, at most 256 strands wait for the answer to their CONNECT, and
 * at most `max_strands` are open; a further one ends at once. */

#include "heads/http_head.h"
#include "heads/mqtt_head.h"

struct strand_door_config {
	struct http_head *devices; /* decides about callers; borrowed, like all of it */
	struct mqtt_head *mqtt;	   /* whose connections the strands are */
	/* May this gateway, which has proved who it is, speak for others at all?  On the loop. */
	bool (*may_carry)(void *arg, const char *gateway_id);
	void (*forbid)(struct http_request *req, const char *words); /* answer 403 */
	void *arg;
	size_t max_strands; /* on a carrier; 0: no limit but that of net/strand.h */
};

struct strand_door;
struct strand_door *strand_door_new(const struct strand_door_config *config);
void strand_door_free(struct strand_door *door); /* after the loops; NULL is fine */

/* On the loop of the connection.  false: it is something else, or the door is NULL. */
bool strand_door_serve(struct strand_door *door, struct http_request *req);
/* What the carriers of this gateway stand on has changed, perhaps: each asks again.  Any thread; the door may be NULL. */
void strand_door_recheck(struct strand_door *door, const char *gateway_id);
