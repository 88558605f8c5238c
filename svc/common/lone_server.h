/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a server has around its service when it is a process by itself: a state folder that is its alone, its loops, the pool for handshakes, and a certificate that SIGHUP loads
 * again.  What it listens on, and what is served there, is the caller's: it opens after lone_server_init. */

#include "base/pool.h"
#include "common/loops.h"
#include "net/server_identity.h"
#include "net/tls.h"

struct lone_server {
	const char *role; /* as its TLS is called; this and the paths are borrowed */
	struct server_identity_paths certs;
	int lock_fd;
	struct loops loops;
	struct pool *handshakes;
	struct tls_holder *tls;
};

void lone_server_init(struct lone_server *server, const char *role, const struct server_identity_paths *certs, size_t n_loops);
int lone_server_take_folder(struct lone_server *server, const char *dir, struct err *err); /* made, and locked until it is closed */
/* What the listeners get, the server's; NULL: the certificate can't be loaded. */
struct tls_holder *lone_server_tls(struct lone_server *server, struct err *err);
bool lone_server_reload(struct lone_server *server); /* the certificate; false: that in use stays, which the log says why */

/* The end, also of one that was not opened whole: loops_stop, close the listeners, hang up, stop the service, loops_clear, free what lived on the loops, clear. */
void lone_server_hang_up(struct lone_server *server); /* no connection is left, and no handshake */
void lone_server_clear(struct lone_server *server);   /* the certificate; and the folder is anybody's again */
