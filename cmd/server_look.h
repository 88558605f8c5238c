/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A look at a TLS server (net/probe), judged as every client of ours judges it (pki/chain), and told in a verdict: the way there first, then the server, then
 * what it speaks. */

#include "net/probe.h"
#include "pki/chain.h"

struct server_look {
	const char *name;	/* that it must prove */
	const char *connect_to; /* where TCP goes; NULL: that name */
	int port;
	bool is_mqtt; /* it has to answer an MQTT CONNECT, too */
	int64_t timeout_ms;
	const struct certs *roots; /* to trust, the same in anchors */
	struct anchors *anchors;
	const char *roots_name; /* for people: where they are from */
};
/* The caller clears the probe. */
void server_look(struct verdict *v, const struct server_look *look, struct probe *probe);

/* The two halves of it. */
void server_look_way(struct verdict *v, const struct probe *probe);
void server_look_judge(struct verdict *v, const struct server_look *look, const struct probe *probe);
/* What would have to be there for the way to be free; NULL: this reason is none about the way. */
const char *server_look_obstacle(enum reason reason);
