/* SPDX-License-Identifier: Apache-2.0 */
/* The EST server put together (est_alone.h).  Closing goes the other way round. */
#include "est/est_alone.h"

#include "base/log.h"
#include "base/mem.h"
#include "common/activation.h"
#include "common/lone_server.h"
#include "common/service.h"
#include "est/est_service.h"
#include "net/listener.h"

#define PER_PEER_MAX 1000

struct est_alone {
	struct est_alone_config config;
	struct lone_server server;
	struct key_source *keys;
	struct est_service *service;
	struct http_server *http, *plain_http;
	struct listener *listener, *plain;
};

/* -- Loading, and loading again ------------------------------------------------------------------------------------------------------ */

static void
reload(void *arg)
{
	struct est_alone *alone = arg;
	struct err err = ERR_INIT;

	lone_server_reload(&alone->server);
	if (est_service_reload(alone->service, &err) < 0)
		log_error("the configuration that was in use stays: %s", err.text);
	else
		log_info("the configuration was loaded again from %s", alone->config.config_path);
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------- */

static int
open_service(struct est_alone *alone, struct err *err)
{
	struct est_service_config config = { .state_dir = alone->config.state_dir,
		.config_path = alone->config.config_path,
		.keys = alone->keys,
		.loop = alone->server.loops.item[0],
		.n_workers = alone->config.n_workers };

	if (lone_server_take_folder(&alone->server, alone->config.state_dir, err) < 0)
		return -1;
	alone->service = est_service_open(&config, err);
	return alone->service ? 0 : -1;
}

static int
open_listener(struct est_alone *alone, struct err *err)
{
	struct tls_holder *tls = lone_server_tls(&alone->server, err);
	struct http_server_config http = { .handle = est_service_handle, .arg = alone->service, .max_body = EST_SERVICE_BODY_MAX };
	struct listener_config listen = {
		.address = alone->config.address,
		.port = alone->config.port,
		.tls = tls,
		.handshakes = alone->server.handshakes,
		.ops = http_server_ops(),
		.on_accept = http_server_on_accept,
		.max_conns = alone->config.max_connections,
		.max_per_peer = PER_PEER_MAX,
	};

	if (!tls)
		return -1;
	listen.user = alone->http = http_server_new(&http);
	activation_adopt(&listen);
	alone->listener = listener_open(alone->server.loops.item, alone->server.loops.n, &listen, err);
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
	alone->plain = listener_open(alone->server.loops.item, alone->server.loops.n, &listen, err);
	return alone->plain ? 0 : -1;
}

struct est_alone *
est_alone_open(const struct est_alone_config *config, struct err *err)
{
	struct est_alone *alone = NEW(est_alone);

	alone->config = *config;
	alone->keys = key_source_new(&config->keys);
	lone_server_init(&alone->server, "est", &config->certs, config->n_loops);
	if (open_service(alone, err) < 0 || open_listener(alone, err) < 0 || open_plain(alone, err) < 0) {
		est_alone_close(alone);
		return NULL;
	}
	/* Before anybody is told that it serves: who stops it at once means an end in order. */
	service_handle_signals(alone->server.loops.item[0], reload, alone);
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
	if (loops_start(&alone->server.loops, err) < 0)
		return -1;
	loop_run(alone->server.loops.item[0]);
	return 0;
}

void
est_alone_close(struct est_alone *alone)
{
	loops_stop(&alone->server.loops);
	if (alone->listener)
		listener_close(alone->listener);
	if (alone->plain)
		listener_close(alone->plain);
	lone_server_hang_up(&alone->server);
	est_service_stop(alone->service);
	loops_clear(&alone->server.loops);
	if (alone->http)
		http_server_free(alone->http);
	if (alone->plain_http)
		http_server_free(alone->plain_http);
	est_service_close(alone->service);
	key_source_free(alone->keys);
	lone_server_clear(&alone->server);
	mem_free(alone);
}
