/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Can this edge device be below that gateway?  Found out by real connections, and told in words: the way there, the name and chain of its certificate, on both ports; whether the MQTT port speaks MQTT; and, where the device's credential
 * is at hand, whether it lets the device in. */

#include "base/buf.h"
#include "keys/key.h"
#include "pki/chain.h"

struct parent_check {
	const char *name;	   /* that it must prove */
	const char *connect_to;	   /* NULL: that name */
	int https_port, mqtt_port; /* 0: not looked at */
	const struct certs *roots;
	struct anchors *anchors; /* of these */
	const char *roots_name;	 /* for people: where they are from */
	int64_t timeout_ms;
	/* Whether it lets the device in; device_id NULL: that is not asked. */
	const char *device_id;
	const char *authorization;	 /* a header line with its token, or NULL */
	int64_t token_from, token_until; /* when it was made, and its end; seconds UTC */
	const struct certs *chain;	 /* or its certificate and key */
	const struct key *key;
};

/* A line for what is well, several for what is not, with what to do.  true: all is well. */
bool parent_check(const struct parent_check *check, struct buf *page);
