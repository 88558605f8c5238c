/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The hub as this gateway sees it: where it is, what it is judged by, and the gateway's own token for it ($edgeHub's, signed through the workload API,
 * gateway 3.3).  Shared by whoever talks to the hub; any thread. */

#include <stdatomic.h>

#include "diag/verdict.h"
#include "edged/client.h"
#include "net/tls.h"
#include "pki/chain.h"

struct upstream_config {
	struct workload workload; /* borrowed texts; the module is $edgeHub */
	const char *hub_host;	  /* its name: in tokens and certificates */
	const char *parent_host;  /* a gateway on the way to it, which then proves its own name instead; or NULL */
	const char *hub_address;  /* where TCP goes instead, or NULL */
	const char *edge_id;	  /* the device that this gateway is */
	int mqtt_port, https_port;
	const char *trust_path; /* the roots to trust the hub by, PEM */
	const char *line_path;	/* what has followed them since (pki/root_line.h), and goes on to; NULL: nothing */
};

struct upstream;
struct upstream *upstream_open(const struct upstream_config *config, struct err *err);
void upstream_close(struct upstream *upstream);

const struct upstream_config *upstream_config(const struct upstream *upstream);
/* As they are now; good until it is closed. */
struct anchors *upstream_anchors(const struct upstream *upstream);
struct tls_client *upstream_tls(const struct upstream *upstream);
/* Looks whether there are others, or some have followed, on one thread: true when they have, and connections are judged by them from now on. */
bool upstream_follow_roots(struct upstream *upstream);

/* Nobody waits for an answer of the hub any more: questions to it end soon, and new ones at once. */
void upstream_stop(struct upstream *upstream);
const atomic_bool *upstream_stopping(const struct upstream *upstream);

/* A token that is good for half an hour at least; the caller owns it and wipes it (upstream_token_free).  May block: the key is in keyd. */
char *upstream_token(struct upstream *upstream, int64_t *expires, struct err *err);
void upstream_token_free(char *token);

/* A verdict about the hub: logged when it is another than the last one. */
void upstream_judged(struct upstream *upstream, const struct verdict *verdict);
