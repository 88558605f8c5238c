/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An EST server by itself: the service (est_service.h) behind a listener of its own, with a state folder that is its alone. */

#include <stddef.h>

#include "base/err.h"
#include "keys/key_source.h"
#include "net/server_identity.h"

struct est_alone_config {
	const char *state_dir, *config_path, *address;
	int port;      /* 0: a free one */
	int http_port; /* without TLS, for revocation alone; -1: none, 0: a free one */
	struct server_identity_paths certs;
	size_t n_loops, n_workers; /* 0: one a core */
	size_t max_connections;
	struct key_source_config keys;
};

struct est_alone;
struct est_alone *est_alone_open(const struct est_alone_config *config, struct err *err); /* listens */
int est_alone_port(const struct est_alone *alone);
int est_alone_http_port(const struct est_alone *alone); /* 0: there is none */
/* On this thread, until SIGTERM or SIGINT; SIGHUP loads the certificate and the configuration again. */
int est_alone_run(struct est_alone *alone, struct err *err);
void est_alone_close(struct est_alone *alone);
