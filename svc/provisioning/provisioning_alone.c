/* SPDX-License-Identifier: Apache-2.0 */
/* Provisioning put together without a hub (provisioning_alone.h).  The registry is there for its worker, on which all of provisioning runs, and for its file; no device is ever in
 * it.  Closing goes the other way round, as at the hub. */
#include "provisioning/provisioning_alone.h"

#include "base/log.h"
#include "base/mem.h"
#include "common/lone_server.h"
#include "common/service.h"
#include "hub/client.h"
#include "hub/hub_revocation.h"
#include "hub/provisioning/provisioning_server.h"

#define WORKER_QUEUE_MAX 4096

struct provisioning_alone {
	struct provisioning_alone_config config;
	struct lone_server server;
	struct pool *worker;
	struct registry_store *store;
	struct registry *registry;
	struct policy_keeper *policies;
	struct key_source *keys;
	struct issuing *issuing; /* NULL: none is wanted */
	struct issuing_status *status;
	struct hub_revocation *revocation;
	struct provisioning_server *service;
};

/* -- Certificates ---------------------------------------------------------------------------------------------------------------- */

static void
reload(void *arg)
{
	struct provisioning_alone *alone = arg;

	if (lone_server_reload(&alone->server))
		log_info("the certificate was loaded again from %s", alone->config.certs.cert);
}

/* -- Opening ----------------------------------------------------------------------------------------------------------------------- */

static int
open_state(struct provisioning_alone *alone, struct err *err)
{
	OWN_TEXT path = hub_client_provisioning_path(alone->config.state_dir);

	if (lone_server_take_folder(&alone->server, alone->config.state_dir, err) < 0)
		return -1;
	alone->store = registry_store_open(path, err);
	if (!alone->store || provisioning_prepare(alone->store, true, err) < 0)
		return -1;
	alone->worker = pool_new("provisioning", 1, WORKER_QUEUE_MAX);
	alone->registry = registry_open(alone->store, alone->worker, err);
	alone->policies = alone->registry ? policy_keeper_open(alone->registry, err) : NULL;
	return alone->policies ? 0 : -1;
}

static int
open_issuing(struct provisioning_alone *alone, struct err *err)
{
	struct issuing_config config = alone->config.issuing;

	if (!alone->config.issues)
		return 0;
	config.state_dir = alone->config.state_dir;
	config.hostname = alone->config.hostname;
	config.store = alone->store;
	config.keys = alone->keys;
	alone->issuing = issuing_open(&config, err);
	if (!alone->issuing)
		return -1;
	alone->status = issuing_status_open(
		&(struct issuing_status_config){ alone->config.state_dir, alone->issuing, alone->server.loops.item[0] }, err);
	return alone->status ? 0 : -1;
}

static int
open_revocation(struct provisioning_alone *alone, struct err *err)
{
	OWN_TEXT journal = hub_client_journal_path(alone->config.state_dir);
	struct hub_revocation_config config = { .files = alone->config.crl_paths,
		.ca_path = alone->config.crl_ca_path,
		.journal_path = journal,
		.issuing = alone->issuing,
		.registry = alone->registry,
		.loop = alone->server.loops.item[0] };

	alone->revocation = hub_revocation_open(&config, err);
	return alone->revocation ? 0 : err_wrap(err, "revocation");
}

static struct revocations *
revoked_now(void *arg)
{
	struct provisioning_alone *alone = arg;

	return hub_revocation_current(alone->revocation);
}

static int
open_server(struct provisioning_alone *alone, struct err *err)
{
	const struct provisioning_alone_config *c = &alone->config;
	struct provisioning_server_config config = {
		.provisioning = { .hostname = c->hostname,
			.id_scope = c->id_scope,
			.registry = alone->registry,
			.policies = alone->policies,
			.loop = alone->server.loops.item[0],
			.owner = loop_owner(alone->server.loops.item[0]),
			.hubs_ca_path = c->hubs_ca_path,
			.issuing = alone->issuing,
			.revoked = revoked_now,
			.revoked_arg = alone },
		.loops = alone->server.loops.item,
		.n_loops = alone->server.loops.n,
		.listen = { .address = c->address, .handshakes = alone->server.handshakes, .max_conns = c->max_connections },
		.https_port = c->https_port,
		.mqtt_port = c->mqtt_port,
		.http_port = c->http_port,
		.has_http = c->http_port >= 0,
		.status = alone->status,
	};

	config.listen.tls = lone_server_tls(&alone->server, err);
	if (!config.listen.tls)
		return -1;
	alone->service = provisioning_server_open(&config, err);
	return alone->service ? 0 : -1;
}

struct provisioning_alone *
provisioning_alone_open(const struct provisioning_alone_config *config, struct err *err)
{
	struct provisioning_alone *alone = NEW(provisioning_alone);

	alone->config = *config;
	alone->keys = key_source_new(&config->keys);
	lone_server_init(&alone->server, "provisioning", &config->certs, config->n_loops);
	if (open_state(alone, err) < 0 || open_issuing(alone, err) < 0 || open_revocation(alone, err) < 0 ||
		open_server(alone, err) < 0) {
		provisioning_alone_close(alone);
		return NULL;
	}
	/* Before anybody is told that it serves: who stops it at once means an end in order. */
	service_handle_signals(alone->server.loops.item[0], reload, alone);
	return alone;
}

int
provisioning_alone_https_port(const struct provisioning_alone *alone)
{
	return provisioning_server_https_port(alone->service);
}

int
provisioning_alone_http_port(const struct provisioning_alone *alone)
{
	return provisioning_server_http_port(alone->service);
}

int
provisioning_alone_mqtt_port(const struct provisioning_alone *alone)
{
	return provisioning_server_mqtt_port(alone->service);
}

const char *
provisioning_alone_id_scope(const struct provisioning_alone *alone)
{
	return provisioning_server_id_scope(alone->service);
}

int
provisioning_alone_run(struct provisioning_alone *alone, struct err *err)
{
	if (loops_start(&alone->server.loops, err) < 0)
		return -1;
	hub_revocation_start(alone->revocation);
	issuing_status_start(alone->status);
	loop_run(alone->server.loops.item[0]);
	return 0;
}

void
provisioning_alone_close(struct provisioning_alone *alone)
{
	loops_stop(&alone->server.loops);
	provisioning_server_shut(alone->service);
	lone_server_hang_up(&alone->server);
	if (alone->registry)
		registry_stop(alone->registry);
	pool_free(alone->worker);
	issuing_status_stop(alone->status);
	provisioning_server_stop(alone->service);
	loops_clear(&alone->server.loops);
	provisioning_server_free(alone->service);
	hub_revocation_close(alone->revocation);
	issuing_status_close(alone->status);
	issuing_close(alone->issuing);
	key_source_free(alone->keys);
	policy_keeper_close(alone->policies);
	registry_close(alone->registry);
	registry_store_close(alone->store);
	lone_server_clear(&alone->server);
	mem_free(alone);
}
