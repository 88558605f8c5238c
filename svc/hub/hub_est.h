/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The EST server inside the hub: on its HTTPS port, with a folder of its own in the hub's.
 *
 * The certificate of a device that is known here by thumbprint is offered as the one to rotate to (rotation_keeper.h) before it leaves, so the device can connect with it at once, and
 * who renews by EST needs no reprovisioning.  A device that is known by a CA needs nothing, and one that is not known is none of the hub's business. */

#include "est/est_service.h"
#include "hub/registry/rotation_keeper.h"

struct hub_est_config {
	const char *state_dir, *config_path;
	struct key_source *keys;
	size_t n_workers; /* 0: one a core */
	struct loop *loop;
	struct registry *registry;
	struct rotation_keeper *rotations;
};

struct hub_est;
struct hub_est *hub_est_open(const struct hub_est_config *config, struct err *err);
void hub_est_start(struct hub_est *est);		      /* on the thread of its loop, or before it runs */
struct revocations *hub_est_revocations(struct hub_est *est); /* NULL: est is; the caller owns a reference */
void hub_est_each_trust_dir(struct hub_est *est, void (*each)(void *arg, const char *dir), void *arg); /* est NULL: none */
bool hub_est_serve(struct hub_est *est, struct http_request *req);	 /* false: it is for somebody else.  est NULL: always */
bool hub_est_serve_plain(struct hub_est *est, struct http_request *req); /* the same without TLS */
int hub_est_reload(struct hub_est *est, struct err *err);
void hub_est_stop(struct hub_est *est); /* before the registry's worker ends */
void hub_est_close(struct hub_est *est);
