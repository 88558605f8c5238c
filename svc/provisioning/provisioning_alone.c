/* SPDX-License-Identifier: Apache-2.0 */
/* Provisioning put together without a hub (provisioning_alone.h).  The registry is there for its worker, on which all of provisioning runs, and for its file; no device is ever in
 * it.  Closing goes the other way round, as at the hub. */
#include "provisioning/provisioning_alone.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "common/service.h"
#include "hub/client.h"
#include "hub/hub_revocation.h"
#include "hub/provisioning/provisioning_server.h"

#define LOOPS_MAX 64
#define WORKER_QUEUE_MAX 4096
#define HANDSHAKE_QUEUE_MAX 4096

struct provisioning_alone {
	struct provisioning_alone_config config;
	int lock_fd;
	struct loop *loops[LOOPS_MAX];
	size_t n_loops;
	struct pool *worker, *handshakes;
	struct registry_store *store;
	struct registry *registry;
	struct policy_keeper *policies;
	struct tls_holder *tls;
	struct key_source *keys;
	struct issuing *issuing; /* NULL: none is wanted */
	struct issuing_status *status;
	struct hub_revocation *revocation;
	struct provisioning_server *server;
};

/* -- Certificates ---------------------------------------------------------------------------------------------------------------- */

static struct tls_server *
make_tls(const struct provisioning_alone *alone, struct err *err)
{
	struct server_identity id;
	struct tls_server *tls = NULL;

	if (server_identity_load(&id, &alone->config.certs, err) == 0)
		tls = server_identity_tls(&id, "provisioning", NULL, err);
	server_identity_clear(&id);
	return tls;
}

static void
reload(void *arg)
{
	struct provisioning_alone *alone = arg;
	struct err err = ERR_INIT;
	struct tls_server *tls = make_tls(alone, &err);

	if (!tls) {
		log_error("the certificate that was in use stays: %s", err.text);
		return;
	}
	tls_holder_swap(alone->tls, tls);
	log_info("the certificate was loaded again from %s", alone->config.certs.cert);
}

/* -- Opening ----------------------------------------------------------------------------------------------------------------------- */

static int
take_folder(struct provisioning_alone *alone, struct err *err)
{
	const char *dir = alone->config.state_dir;
	OWN_TEXT lock = file_join(dir, "lock");

	if (file_make_dir(dir, 0700, err) < 0)
		return -1;
	alone->lock_fd = file_lock(AT_FDCWD, lock, err);
	return alone->lock_fd < 0 ? err_wrap(err, "%s", dir) : 0;
}

static int
open_state(struct provisioning_alone *alone, struct err *err)
{
	OWN_TEXT path = hub_client_provisioning_path(alone->config.state_dir);

	if (take_folder(alone, err) < 0)
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
		&(struct issuing_status_config){ alone->config.state_dir, alone->issuing, alone->loops[0] }, err);
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
		.loop = alone->loops[0] };

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
			.loop = alone->loops[0],
			.owner = loop_owner(alone->loops[0]),
			.hubs_ca_path = c->hubs_ca_path,
			.issuing = alone->issuing,
			.revoked = revoked_now,
			.revoked_arg = alone },
		.loops = alone->loops,
		.n_loops = alone->n_loops,
		.listen = { .address = c->address, .handshakes = alone->handshakes, .max_conns = c->max_connections },
		.https_port = c->https_port,
		.mqtt_port = c->mqtt_port,
		.http_port = c->http_port,
		.has_http = c->http_port >= 0,
		.status = alone->status,
	};
	struct tls_server *tls = make_tls(alone, err);

	if (!tls)
		return -1;
	config.listen.tls = alone->tls = tls_holder_new(tls);
	alone->server = provisioning_server_open(&config, err);
	return alone->server ? 0 : -1;
}

static void
make_loops(struct provisioning_alone *alone)
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

struct provisioning_alone *
provisioning_alone_open(const struct provisioning_alone_config *config, struct err *err)
{
	struct provisioning_alone *alone = NEW(provisioning_alone);

	alone->config = *config;
	alone->keys = key_source_new(&config->keys);
	alone->lock_fd = -1;
	make_loops(alone);
	alone->handshakes = pool_new("tls", alone->n_loops, HANDSHAKE_QUEUE_MAX);
	if (open_state(alone, err) < 0 || open_issuing(alone, err) < 0 || open_revocation(alone, err) < 0 ||
		open_server(alone, err) < 0) {
		provisioning_alone_close(alone);
		return NULL;
	}
	/* Before anybody is told that it serves: who stops it at once means an end in order. */
	service_handle_signals(alone->loops[0], reload, alone);
	return alone;
}

int
provisioning_alone_https_port(const struct provisioning_alone *alone)
{
	return provisioning_server_https_port(alone->server);
}

int
provisioning_alone_http_port(const struct provisioning_alone *alone)
{
	return provisioning_server_http_port(alone->server);
}

int
provisioning_alone_mqtt_port(const struct provisioning_alone *alone)
{
	return provisioning_server_mqtt_port(alone->server);
}

const char *
provisioning_alone_id_scope(const struct provisioning_alone *alone)
{
	return provisioning_server_id_scope(alone->server);
}

int
provisioning_alone_run(struct provisioning_alone *alone, struct err *err)
{
	for (size_t i = 1; i < alone->n_loops; i++)
		if (loop_start_thread(alone->loops[i], err) < 0)
			return -1;
	hub_revocation_start(alone->revocation);
	issuing_status_start(alone->status);
	loop_run(alone->loops[0]);
	return 0;
}

void
provisioning_alone_close(struct provisioning_alone *alone)
{
	for (size_t i = 1; i < alone->n_loops; i++) {
		loop_stop(alone->loops[i]);
		loop_join(alone->loops[i]);
	}
	provisioning_server_shut(alone->server);
	pool_free(alone->handshakes);
	for (size_t i = 0; i < alone->n_loops; i++)
		conn_abort_all(alone->loops[i]);
	if (alone->registry)
		registry_stop(alone->registry);
	pool_free(alone->worker);
	issuing_status_stop(alone->status);
	provisioning_server_stop(alone->server);
	for (size_t i = 0; i < alone->n_loops; i++)
		loop_free(alone->loops[i]);
	provisioning_server_free(alone->server);
	hub_revocation_close(alone->revocation);
	issuing_status_close(alone->status);
	issuing_close(alone->issuing);
	key_source_free(alone->keys);
	policy_keeper_close(alone->policies);
	registry_close(alone->registry);
	registry_store_close(alone->store);
	tls_holder_free(alone->tls);
	if (alone->lock_fd >= 0)
		close(alone->lock_fd);
	mem_free(alone);
}
