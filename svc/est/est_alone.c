/* SPDX-License-Identifier: Apache-2.0 */
/* The EST server put together (est_alone.h).  Closing goes the other way round. */
#include "est/est_alone.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "common/activation.h"
#include "common/service.h"
#include "est/est_service.h"
#include "net/listener.h"

#define LOOPS_MAX 64
#define HANDSHAKE_QUEUE_MAX 4096
#define PER_PEER_MAX 1000

struct est_alone {
	struct est_alone_config config;
	int lock_fd;
	struct key_source *keys;
	struct loop *loops[LOOPS_MAX];
	size_t n_loops;
	struct pool *handshakes;
	struct est_service *service;
	struct tls_holder *tls;
	struct http_server *http, *plain_http;
	struct listener *listener, *plain;
};

/* -- Loading, and loading again ------------------------------------------------------------------------------------------------------ */

/* Sessions are not resumed: each connection shows its certificate and is judged by it (atk-09). */
static struct tls_server *
make_tls(const struct est_alone *alone, struct err *err)
{
	struct server_identity id;
	struct tls_server *tls = NULL;

	if (server_identity_load(&id, &alone->config.certs, err) == 0)
		tls = server_identity_tls(&id, "est", NULL, err);
	server_identity_clear(&id);
	return tls;
}

static void
reload(void *arg)
{
	struct est_alone *alone = arg;
	struct err err = ERR_INIT;
	struct tls_server *tls = make_tls(alone, &err);

	if (tls)
		tls_holder_swap(alone->tls, tls);
	else
		log_error("the certificate that was in use stays: %s", err.text);
	err = (struct err)ERR_INIT;
	if (est_service_reload(alone->service, &err) < 0)
		log_error("the configuration that was in use stays: %s", err.text);
	else
		log_info("the configuration was loaded again from %s", alone->config.config_path);
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------- */

static int
take_folder(struct est_alone *alone, struct err *err)
{
	const char *dir = alone->config.state_dir;
	OWN_TEXT lock = file_join(dir, "lock");

	if (file_make_dir(dir, 0700, err) < 0)
		return -1;
	alone->lock_fd = file_lock(AT_FDCWD, lock, err);
	return alone->lock_fd < 0 ? err_wrap(err, "%s", dir) : 0;
}

static int
open_service(struct est_alone *alone, struct err *err)
{
	struct est_service_config config = { .state_dir = alone->config.state_dir,
		.config_path = alone->config.config_path,
		.keys = alone->keys,
		.loop = alone->loops[0],
		.n_workers = alone->config.n_workers };

	if (take_folder(alone, err) < 0)
		return -1;
	alone->service = est_service_open(&config, err);
	return alone->service ? 0 : -1;
}

static int
open_listener(struct est_alone *alone, struct err *err)
{
	struct tls_server *tls = make_tls(alone, err);
	struct http_server_config http = { .handle = est_service_handle, .arg = alone->service, .max_body = EST_SERVICE_BODY_MAX };
	struct listener_config listen = {
		.address = alone->config.address,
		.port = alone->config.port,
		.handshakes = alone->handshakes,
		.ops = http_server_ops(),
		.on_accept = http_server_on_accept,
		.max_conns = alone->config.max_connections,
		.max_per_peer = PER_PEER_MAX,
	};

	if (!tls)
		return -1;
	listen.tls = alone->tls = tls_holder_new(tls);
	listen.user = alone->http = http_server_new(&http);
	activation_adopt(&listen);
	alone->listener = listener_open(alone->loops, alone->n_loops, &listen, err);
	return alone->listener ? 0 : -1;
}

/* Lists and OCSP, which are signed, for those who have to read them before they trust any TLS. */
static int
open_plain(struct est_alone *alone, struct err *err)
{
	struct http_server_config http = {
		.handle = est_service_handle_plain, .arg = alone->service, .max_body = EST_SERVICE_BODY_MAX
	};
	struct listener_config listen = {
		.address = alone->config.address,
		.port = alone->config.http_port,
		.ops = http_server_ops(),
		.on_accept = http_server_on_accept,
		.max_conns = alone->config.max_connections,
		.max_per_peer = PER_PEER_MAX,
	};

	if (alone->config.http_port < 0)
		return 0;
	listen.user = alone->plain_http = http_server_new(&http);
	alone->plain = listener_open(alone->loops, alone->n_loops, &listen, err);
	return alone->plain ? 0 : -1;
}

static void
make_loops(struct est_alone *alone)
{
	long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
	char name[32];

	alone->n_loops = alone->config.n_loops > 0 ? alone->config.n_loops : n_cores > 0 ? (size_t)n_cores : 1;
	if (alone->n_loops > LOOPS_MAX)
		alone->n_loops = LOOPS_MAX;
	for (size_t i = 0; i < alone->n_loops; i++) {
		snprintf(name, sizeof(name), "loop-%zu", i);
		alone->loops[i] = loop_new(name);
	}
}

struct est_alone *
est_alone_open(const struct est_alone_config *config, struct err *err)
{
	struct est_alone *alone = NEW(est_alone);

	alone->config = *config;
	alone->lock_fd = -1;
	alone->keys = key_source_new(&config->keys);
	make_loops(alone);
	alone->handshakes = pool_new("tls", alone->n_loops, HANDSHAKE_QUEUE_MAX);
	if (open_service(alone, err) < 0 || open_listener(alone, err) < 0 || open_plain(alone, err) < 0) {
		est_alone_close(alone);
		return NULL;
	}
	/* Before anybody is told that it serves: who stops it at once means an end in order. */
	service_handle_signals(alone->loops[0], reload, alone);
	return alone;
}

int
est_alone_port(const struct est_alone *alone)
{
	return listener_port(alone->listener);
}

int
est_alone_http_port(const struct est_alone *alone)
{
	return alone->plain ? listener_port(alone->plain) : 0;
}

int
est_alone_run(struct est_alone *alone, struct err *err)
{
	est_service_start(alone->service);
	for (size_t i = 1; i < alone->n_loops; i++)
		if (loop_start_thread(alone->loops[i], err) < 0)
			return -1;
	loop_run(alone->loops[0]);
	return 0;
}

void
est_alone_close(struct est_alone *alone)
{
	for (size_t i = 1; i < alone->n_loops; i++) {
		loop_stop(alone->loops[i]);
		loop_join(alone->loops[i]);
	}
	if (alone->listener)
		listener_close(alone->listener);
	if (alone->plain)
		listener_close(alone->plain);
	pool_free(alone->handshakes);
	for (size_t i = 0; i < alone->n_loops; i++)
		conn_abort_all(alone->loops[i]);
	est_service_stop(alone->service);
	for (size_t i = 0; i < alone->n_loops; i++)
		loop_free(alone->loops[i]);
	if (alone->http)
		http_server_free(alone->http);
	if (alone->plain_http)
		http_server_free(alone->plain_http);
	est_service_close(alone->service);
	key_source_free(alone->keys);
	tls_holder_free(alone->tls);
	if (alone->lock_fd >= 0)
		close(alone->lock_fd);
	mem_free(alone);
}
