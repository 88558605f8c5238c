/* SPDX-License-Identifier: Apache-2.0 */
/* The process around a service (lone_server.h). */
#include "common/lone_server.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define HANDSHAKE_QUEUE_MAX 4096

void
lone_server_init(struct lone_server *server, const char *role, const struct server_identity_paths *certs, size_t n_loops)
{
	*server = (struct lone_server){ .role = role, .certs = *certs, .lock_fd = -1 };
	loops_init(&server->loops, n_loops);
	server->handshakes = pool_new("tls", server->loops.n, HANDSHAKE_QUEUE_MAX);
}

int
lone_server_take_folder(struct lone_server *server, const char *dir, struct err *err)
{
	OWN_TEXT lock = file_join(dir, "lock");

	if (file_make_dir(dir, 0700, err) < 0)
		return -1;
	server->lock_fd = file_lock(AT_FDCWD, lock, err);
	return server->lock_fd < 0 ? err_wrap(err, "%s", dir) : 0;
}

/* -- The certificate ----------------------------------------------------------------------------------------------------------------- */

/* Sessions are not resumed: each connection shows its certificate and is judged by it (atk-09). */
static struct tls_server *
make_tls(const struct lone_server *server, struct err *err)
{
	struct server_identity id;
	struct tls_server *tls = NULL;

	if (server_identity_load(&id, &server->certs, err) == 0)
		tls = server_identity_tls(&id, server->role, NULL, err);
	server_identity_clear(&id);
	return tls;
}

struct tls_holder *
lone_server_tls(struct lone_server *server, struct err *err)
{
	struct tls_server *tls = make_tls(server, err);

	server->tls = tls ? tls_holder_new(tls) : NULL;
	return server->tls;
}

bool
lone_server_reload(struct lone_server *server)
{
	struct err err = ERR_INIT;
	struct tls_server *tls = make_tls(server, &err);

	if (!tls) {
		log_error("the certificate that was in use stays: %s", err.text);
		return false;
	}
	tls_holder_swap(server->tls, tls);
	return true;
}

/* -- The end ------------------------------------------------------------------------------------------------------------------------- */

void
lone_server_hang_up(struct lone_server *server)
{
	pool_free(server->handshakes);
	loops_abort_connections(&server->loops);
}

void
lone_server_clear(struct lone_server *server)
{
	tls_holder_free(server->tls);
	if (server->lock_fd >= 0)
		close(server->lock_fd);
}
