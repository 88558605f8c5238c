/* SPDX-License-Identifier: Apache-2.0 */
/* The hub put together (hub.h).  Every loop serves both listeners; the registry's worker is one thread, handshakes have a pool of their own.  Closing
 * goes the other way round: no new work, then what is durable, then the loops, which run the completions that are still on their way, then what
 * those completions touch. */
#include "hub/hub.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "common/activation.h"
#include "common/loops.h"
#include "common/service.h"
#include "common/turns.h"
#include "heads/http_head.h"
#include "heads/mqtt_head.h"
#include "hub/automation/configurations.h"
#include "hub/automation/jobs.h"
#include "hub/client.h"
#include "hub/commands/command_sessions.h"
#include "hub/credential_requests.h"
#include "hub/events/event_readers.h"
#include "hub/events/event_sink.h"
#include "hub/events/event_source.h"
#include "hub/events/marks.h"
#include "hub/files/blob.h"
#include "hub/files/files.h"
#include "hub/hub_est.h"
#include "hub/hub_head.h"
#include "hub/provisioning/issuing_status.h"
#include "hub/hub_revocation.h"
#include "hub/hub_roots.h"
#include "hub/hub_strands.h"
#include "hub/hub_tls.h"
#include "hub/provisioning/provisioning_server.h"
#include "hub/registry/ca.h"
#include "hub/registry/policy_keeper.h"
#include "hub/registry/registry.h"
#include "hub/registry/rotation_keeper.h"
#include "hub/registry/registry_subscriptions.h"
#include "hub/registry/scope_journal.h"
#include "hub/rest/rest.h"
#include "hub/scope_push.h"
#include "hub/twins/queries.h"
#include "hub/twins/twin_index.h"
#include "net/conn_websocket.h"
#include "net/http_server.h"
#include "net/listener.h"
#include "store/message_log.h"

#define TLS_SESSIONS_MAX 20000
#define REGISTRY_QUEUE_MAX 4096
#define HANDSHAKE_QUEUE_MAX 4096
#define PARTITIONS_DEFAULT 4
#define PLAIN_PER_PEER_MAX 64

struct hub {
	struct hub_config config;
	struct loops loops;
	struct pool *worker, *handshakes;
	struct message_log *events;
	struct marks *marks;
	struct event_outbox *outbox;
	struct event_source *source;
	struct event_readers *readers;
	struct event_sink *sinks[HUB_SINKS_MAX];
	struct registry_store *store;
	struct policy_keeper *policies;
	struct registry *registry;
	struct queries *queries;
	struct configurations *configurations;
	struct jobs *jobs;
	struct subscriptions *subscriptions;
	struct files *files;
	char *files_path;
	struct blob_server blobs;
	struct directory *directory;
	struct tls_cache *tls_cache;
	struct ca_registry *cas;
	struct rotation_keeper *rotations;
	struct scope_journal *scopes; /* NULL: not wanted */
	struct scope_push *scope_push;
	struct faults *faults;
	struct twins *twins;
	struct twin_sessions *twin_sessions;
	struct methods *methods;
	struct command_queue *commands;
	struct command_sessions *command_sessions;
	struct refusals *refusals;
	struct hub_head *head;
	struct mqtt_head *mqtt_head;
	struct http_head *http_head;
	struct strand_door *strands; /* NULL: not wanted */
	struct rest rest;
	struct websocket_service websockets[2];
	struct http_server *http;
	struct hub_tls tls;
	struct listener *mqtt, *https;
	struct err problem; /* found while it serves, which ends it */
	struct key_source *keys;
	struct issuing *issuing; /* NULL: not wanted */
	struct credential_requests credentials;
	struct provisioning_server *provisioning; /* NULL: not wanted */
	struct hub_est *est;			  /* NULL: not wanted */
	struct hub_revocation *revocation;
	struct hub_roots *roots;
	struct issuing_status *issuing_status; /* NULL: nothing is issued */
	struct http_server *plain_http;
	struct listener *plain; /* NULL: not wanted */
};

/* -- The certificate ---------------------------------------------------------------------------------------------------------------------- */

static void
reload(void *arg)
{
	struct hub *hub = arg;
	struct err err = ERR_INIT;

	if (hub_tls_reload(&hub->tls, &err) < 0)
		log_error("the certificate that was in use stays: %s", err.text);
	else
		log_info("the certificate was loaded again from %s", hub->config.cert_path);
	err = (struct err)ERR_INIT;
	if (hub->est && hub_est_reload(hub->est, &err) < 0)
		log_error("the configuration of EST that was in use stays: %s", err.text);
}

/* -- Opening ----------------------------------------------------------------------------------------------------------------------------- */

/* A registry that is gone would begin anew: with events beside it, all its devices have been lost. */
static int
check_registry_is_there(struct hub *hub, const char *store_path, struct err *err)
{
	if (event_log_next(message_log_records(hub->events)) == 0 || file_exists(store_path))
		return 0;
	return err_set(
		err, ERR_BROKEN, "%s is missing, but there are events (move them away to begin without devices)", store_path);
}

/* A device's partition follows from their number: it can't change under the readers. */
static int
check_partitions(const struct hub *hub, struct err *err)
{
	unsigned there = event_log_partitions(message_log_records(hub->events));

	if (hub->config.partitions == 0 || hub->config.partitions == there)
		return 0;
	return err_set(err, ERR_CONFLICT, "the events have %u partitions, which stays so; --partitions asks for %u", there,
		hub->config.partitions);
}

static int
open_files(struct hub *hub, struct err *err)
{
	struct files_config files = { .hostname = hub->config.hostname,
		.registry = hub->registry,
		.quota = hub->config.files_quota,
		.device_quota = hub->config.files_device_quota };

	files.dir = hub->files_path = file_join(hub->config.state_dir, "files");
	hub->files = files_open(&files, err);
	hub->blobs = (struct blob_server){ .files = hub->files, .hostname = hub->config.hostname, .policies = hub->policies };
	return hub->files ? 0 : -1;
}

static int
open_state(struct hub *hub, struct err *err)
{
	struct subscriptions_keeper keeper;
	OWN_TEXT store_path = hub_client_store_path(hub->config.state_dir);
	OWN_TEXT events_path = hub_client_events_path(hub->config.state_dir);
	struct message_log_config events = {
		.log = { .dir = events_path,
			.max_bytes = hub->config.retention_bytes,
			.max_age_ms = hub->config.retention_ms,
			.n_partitions = hub->config.partitions ? hub->config.partitions : PARTITIONS_DEFAULT },
		.on_trouble = service_log_storing,
	};
	struct marks_config marks = { .state_dir = hub->config.state_dir, .events_dir = events_path };

	if (file_make_dir(hub->config.state_dir, 0700, err) < 0)
		return -1;
	/* The event log first: its lock keeps a second hub out of the folder. */
	hub->events = message_log_open(&events, err);
	if (!hub->events || check_registry_is_there(hub, store_path, err) < 0 || check_partitions(hub, err) < 0)
		return -1;
	marks.events = message_log_records(hub->events);
	hub->marks = marks_open(&marks, err);
	if (!hub->marks)
		return -1;
	hub->readers = event_readers_new(message_log_records(hub->events), events_path);
	for (size_t i = 0; i < hub->loops.n; i++)
		message_log_add_lane(hub->events, loop_owner(hub->loops.item[i]));
	hub->store = registry_store_open_soon(store_path, err);
	if (!hub->store || registry_store_set_text(hub->store, "hostname", hub->config.hostname, err) < 0)
		return -1;
	if (twin_index_open(hub->store, hub->config.index_paths, hub->config.n_index_paths, err) < 0)
		return -1;
	hub->worker = pool_new("registry", 1, REGISTRY_QUEUE_MAX);
	marks_watch(hub->marks, hub->loops.item[0], hub->worker);
	hub->registry = registry_open(hub->store, hub->worker, err);
	if (!hub->registry)
		return -1;
	if (hub->config.provisioning && provisioning_prepare(hub->store, false, err) < 0)
		return -1;
	hub->policies = policy_keeper_open(hub->registry, err);
	if (!hub->policies || open_files(hub, err) < 0)
		return -1;
	keeper = registry_subscriptions(hub->registry);
	hub->subscriptions = subscriptions_open(&keeper, loop_owner(hub->loops.item[0]), err);
	return hub->subscriptions ? 0 : -1;
}

static int
open_sinks(struct hub *hub, struct err *err)
{
	struct event_sink_config config = {
		.ca_path = hub->config.sink_ca_path, .connect_to = hub->config.sink_connect_to, .readers = hub->readers
	};

	for (size_t i = 0; hub->config.sinks[i]; i++) {
		config.to = hub->config.sinks[i];
		hub->sinks[i] = event_sink_start(&config, err);
		if (!hub->sinks[i])
			return -1;
	}
	return 0;
}

/* All that comes to the HTTPS port. */
static void
on_request(struct http_request *req, void *arg)
{
	struct hub *hub = arg;

	if (!websocket_serve(req, hub->websockets) && !strand_door_serve(hub->strands, req) &&
		!issuing_status_serve(hub->issuing_status, req) && !hub_est_serve(hub->est, req) && !blob_serve(&hub->blobs, req))
		rest_handle(req, &hub->rest);
}

static struct http_sink *
on_body(struct http_request *req, void *arg)
{
	struct hub *hub = arg;

	return blob_sink(&hub->blobs, req);
}

/* What decides about devices and goes beside the registry. */
static int
open_trust(struct hub *hub, struct err *err)
{
	hub->cas = ca_open(hub->registry, CA_OF_HUB, hub->config.device_ca_path, err);
	hub->rotations =
		hub->cas ? rotation_keeper_open(hub->registry, hub->loops.item[0], hub->config.thumbprint_grace_s, err) : NULL;
	if (hub->rotations && !hub->config.plain_scopes)
		hub->scopes = scope_journal_open(hub->registry, hub->cas);
	hub->refusals = refusals_new(REFUSALS_MAX);
	hub->tls_cache = tls_cache_new(TLS_SESSIONS_MAX);
	hub->directory = directory_new();
	hub->faults = hub->config.faults ? faults_new(hub->config.faults) : NULL;
	return hub->rotations ? 0 : -1;
}

/* What devices and services ask for, each on what was opened before it. */
static int
open_subjects(struct hub *hub, struct err *err)
{
	const struct hub_config *config = &hub->config;
	OWN_TEXT events_path = hub_client_events_path(config->state_dir);
	struct event_source_config source = { .hostname = config->hostname,
		.log = hub->events,
		.owner = loop_owner(hub->loops.item[0]),
		.sources = config->event_sources };

	source.outbox = hub->outbox = event_outbox_open(hub->registry, hub->events, events_path, hub->loops.item[0], err);
	if (!hub->outbox)
		return -1;
	hub->source = event_source_new(&source);
	hub->twins = twins_new(hub->registry);
	twins_record(hub->twins, event_source_record_twin, hub->source);
	registry_record(hub->registry, event_source_record_identity, hub->source);
	hub->twin_sessions = twin_sessions_new(hub->twins, hub->directory);
	hub->methods = methods_new(hub->directory, hub_head_subject);
	if (hub->scopes)
		hub->scope_push = scope_push_new(hub->scopes, hub->registry, hub->methods, hub->loops.item[0]);
	hub->queries = queries_open(db_path(registry_store_db(hub->store)), hub->registry, hub->directory, config->index_paths,
		config->n_index_paths, err);
	if (!hub->queries)
		return -1;
	hub->configurations = configurations_open(hub->registry, hub->twins, hub->directory, loop_owner(hub->loops.item[0]),
		config->index_paths, config->n_index_paths, err);
	if (!hub->configurations)
		return -1;
	hub->jobs = jobs_open(hub->registry, hub->twins, hub->methods, hub->directory, hub->loops.item[0], config->index_paths,
		config->n_index_paths, err);
	if (!hub->jobs)
		return -1;
	hub->commands = command_queue_open(hub->registry, err);
	if (!hub->commands)
		return -1;
	hub->command_sessions = command_sessions_new(hub->commands, hub->directory);
	return 0;
}

static void
open_device_heads(struct hub *hub)
{
	struct hub_head_config head = {
		.hostname = hub->config.hostname,
		.registry = hub->registry,
		.subscriptions = hub->subscriptions,
		.events = hub->events,
		.marks = hub->marks,
		.source = hub->source,
		.directory = hub->directory,
		.twins = hub->twin_sessions,
		.credentials = &hub->credentials,
		.methods = hub->methods,
		.commands = hub->commands,
		.command_sessions = hub->command_sessions,
		.tls_cache = hub->tls_cache,
		.cas = hub->cas,
		.revocation = hub->revocation,
		.rotations = hub->rotations,
		.auth = hub->config.auth,
		.faults = hub->faults,
		.refusals = hub->refusals,
	};
	struct mqtt_head_config mqtt = { .who = "hub", .ops = &hub_head_ops, .directory = hub->directory };
	struct http_head_config devices = { .ops = &hub_head_ops, .fail = rest_fail_device };

	hub->head = hub_head_new(&head);
	mqtt.backend = devices.backend = hub->head;
	hub->mqtt_head = mqtt_head_new(&mqtt);
	hub->http_head = http_head_new(&devices);
	if (hub->scopes)
		hub->strands = hub_strands_open(hub->registry, hub->http_head, hub->mqtt_head, hub->config.max_connections);
	hub->websockets[0] = (struct websocket_service){
		.path = "/$iothub/websocket",
		.subprotocol = "mqtt",
		.ops = mqtt_head_ops(),
		.on_accept = mqtt_head_on_accept,
		.user = hub->mqtt_head,
	};
}

static void
open_rest(struct hub *hub)
{
	struct http_server_config http = { .handle = on_request, .arg = hub, .sink = on_body, .streams = files_pool(hub->files) };

	hub->rest = (struct rest){
		.hostname = hub->config.hostname,
		.registry = hub->registry,
		.policies = hub->policies,
		.devices = hub->http_head,
		.directory = hub->directory,
		.readers = hub->readers,
		.cas = hub->cas,
		.revocation = hub->revocation,
		.rotations = hub->rotations,
		.scopes = hub->scopes,
		.auth = hub->config.auth,
		.twins = hub->twins,
		.methods = hub->methods,
		.commands = hub->commands,
		.faults = hub->faults,
		.files = hub->files,
		.queries = hub->queries,
		.configurations = hub->configurations,
		.jobs = hub->jobs,
		.refusals = hub->refusals,
	};
	hub->http = http_server_new(&http);
}

static int
open_issuing(struct hub *hub, struct err *err)
{
	struct issuing_config config = { .state_dir = hub->config.state_dir,
		.hostname = hub->config.hostname,
		.cert_path = hub->config.issuing_ca_path,
		.key_path = hub->config.issuing_ca_key_path,
		.keys = hub->keys,
		.store = hub->store,
		.policies = hub->config.credential_policies,
		.crl_url = hub->config.issuing_ca_crl_url,
		.ocsp_url = hub->config.issuing_ca_ocsp_url };

	hub->issuing = hub->config.issuing ? issuing_open(&config, err) : NULL;
	hub->credentials = (struct credential_requests){
		.issuing = hub->issuing, .registry = hub->registry, .rotations = hub->rotations, .cas = hub->cas
	};
	if (hub->issuing)
		hub->issuing_status = issuing_status_open(
			&(struct issuing_status_config){ hub->config.state_dir, hub->issuing, hub->loops.item[0] }, err);
	return hub->issuing_status || !hub->config.issuing ? 0 : -1;
}

static int
open_est(struct hub *hub, struct err *err)
{
	struct hub_est_config config = { .state_dir = hub->config.state_dir,
		.config_path = hub->config.est_config_path,
		.keys = hub->keys,
		.loop = hub->loops.item[0],
		.registry = hub->registry,
		.rotations = hub->rotations };

	if (!config.config_path)
		return 0;
	hub->est = hub_est_open(&config, err);
	return hub->est ? 0 : err_wrap(err, "EST");
}

static struct revocations *
revoked_by_est(void *arg)
{
	return hub_est_revocations(arg);
}

static int
open_revocation(struct hub *hub, struct err *err)
{
	OWN_TEXT journal = hub_client_journal_path(hub->config.state_dir);
	struct hub_revocation_config config = { .files = hub->config.crl_paths,
		.ca_path = hub->config.crl_ca_path,
		.journal_path = journal,
		.issuing = hub->issuing,
		.beside = hub->est ? revoked_by_est : NULL,
		.beside_arg = hub->est,
		.registry = hub->registry,
		.cas = hub->cas,
		.loop = hub->loops.item[0] };

	hub->roots = hub_roots_new(
		&(struct hub_roots_config){ hub->config.trust_dir, hub->est, hub->registry, hub->cas, hub->loops.item[0] });
	hub->revocation = hub_revocation_open(&config, err);
	return hub->revocation ? 0 : err_wrap(err, "revocation");
}

static struct revocations *
revoked_now(void *arg)
{
	struct hub *hub = arg;

	return hub_revocation_current(hub->revocation);
}

/* Its listeners are like those of the hub, on other ports. */
static int
open_provisioning(struct hub *hub, const struct listener_config *common, struct err *err)
{
	const struct hub_config *hc = &hub->config;
	struct provisioning_server_config config = {
		.provisioning = { .hostname = hc->provisioning_hostname ? hc->provisioning_hostname : hc->hostname,
			.hub = hc->hostname,
			.id_scope = hc->id_scope,
			.registry = hub->registry,
			.policies = hub->policies,
			.loop = hub->loops.item[0],
			.owner = loop_owner(hub->loops.item[0]),
			.hubs_ca_path = hc->provisioning_hubs_ca_path,
			.issuing = hub->issuing,
			.rotations = hub->rotations,
			.revoked = revoked_now,
			.revoked_arg = hub },
		.loops = hub->loops.item,
		.n_loops = hub->loops.n,
		.listen = *common,
		.https_port = hc->provisioning_port,
		.mqtt_port = hc->provisioning_mqtt_port,
	};

	if (!hc->provisioning)
		return 0;
	config.listen.tls = hub->tls.https;
	if (hc->provisioning_address)
		config.listen.address = hc->provisioning_address;
	hub->provisioning = provisioning_server_open(&config, err);
	return hub->provisioning ? 0 : -1;
}

/* Revocation lists and OCSP, which are signed, for those who have to read them before they trust any TLS. */
static void
on_plain_request(struct http_request *req, void *arg)
{
	struct hub *hub = arg;

	if (!issuing_status_serve(hub->issuing_status, req) && !hub_est_serve_plain(hub->est, req))
		http_respond(req, 404, NULL, NULL, 0);
}

static int
open_plain(struct hub *hub, const struct listener_config *common, struct err *err)
{
	struct http_server_config http = { .handle = on_plain_request, .arg = hub, .max_body = EST_SERVICE_BODY_MAX };
	struct listener_config listen = *common;

	if (hub->config.http_port < 0)
		return 0;
	listen.port = hub->config.http_port;
	listen.ops = http_server_ops();
	listen.on_accept = http_server_on_accept;
	listen.max_per_peer = PLAIN_PER_PEER_MAX;
	listen.user = hub->plain_http = http_server_new(&http);
	hub->plain = listener_open(hub->loops.item, hub->loops.n, &listen, err);
	return hub->plain ? 0 : err_wrap(err, "HTTP");
}

static int
open_listeners(struct hub *hub, struct err *err)
{
	struct listener_config common = {
		.address = hub->config.address, .handshakes = hub->handshakes, .max_conns = hub->config.max_connections
	};
	struct listener_config mqtt = common, https = common;
	struct hub_tls_config tls = { .paths = { .cert = hub->config.cert_path,
					      .key = hub->config.key_path,
					      .rsa_cert = hub->config.rsa_cert_path,
					      .rsa_key = hub->config.rsa_key_path },
		.cache = hub->tls_cache };

	if (hub_tls_open(&hub->tls, &tls, err) < 0)
		return -1;
	mqtt.port = hub->config.mqtt_port;
	mqtt.tls = hub->tls.mqtt;
	mqtt.ops = mqtt_head_ops();
	mqtt.user = hub->mqtt_head;
	mqtt.on_accept = mqtt_head_on_accept;
	activation_adopt(&mqtt);
	hub->mqtt = listener_open(hub->loops.item, hub->loops.n, &mqtt, err);
	if (!hub->mqtt)
		return err_wrap(err, "MQTT");
	https.port = hub->config.https_port;
	https.tls = hub->tls.https;
	https.ops = http_server_ops();
	https.user = hub->http;
	https.on_accept = http_server_on_accept;
	activation_adopt(&https);
	hub->https = listener_open(hub->loops.item, hub->loops.n, &https, err);
	if (!hub->https)
		return err_wrap(err, "HTTPS");
	files_set_port(hub->files, listener_port(hub->https));
	return open_plain(hub, &common, err) < 0 ? -1 : open_provisioning(hub, &common, err);
}

/* On the first loop: what a small registry has shown before the hub listened. */
static void
on_loaded(void *arg, const struct err *problem)
{
	struct hub *hub = arg;
	size_t n, enabled;

	registry_count(hub->registry, &n, &enabled);
	if (!problem) {
		log_info("the registry is loaded: %zu devices", n);
		return;
	}
	hub->problem = *problem;
	loop_stop(hub->loops.item[0]);
}

static int
open_all(struct hub *hub, struct err *err)
{
	if (open_state(hub, err) < 0 || open_trust(hub, err) < 0 || open_subjects(hub, err) < 0 || open_issuing(hub, err) < 0 ||
		open_est(hub, err) < 0 || open_revocation(hub, err) < 0)
		return -1;
	open_device_heads(hub);
	open_rest(hub);
	if (open_sinks(hub, err) < 0 || open_listeners(hub, err) < 0)
		return -1;
	return registry_load_soon(hub->registry, loop_owner(hub->loops.item[0]), on_loaded, hub, err);
}

struct hub *
hub_open(const struct hub_config *config, struct err *err)
{
	struct hub *hub = NEW(hub);

	hub->config = *config;
	hub->keys = key_source_new(&config->keys);
	loops_init(&hub->loops, config->n_loops);
	hub->handshakes = pool_new("tls", hub->loops.n, HANDSHAKE_QUEUE_MAX);
	if (open_all(hub, err) < 0) {
		hub_close(hub);
		return NULL;
	}
	/* Before anybody is told that it serves: who stops it at once means an end in order. */
	service_handle_signals(hub->loops.item[0], reload, hub);
	return hub;
}

int
hub_mqtt_port(const struct hub *hub)
{
	return listener_port(hub->mqtt);
}

int
hub_https_port(const struct hub *hub)
{
	return listener_port(hub->https);
}

int
hub_http_port(const struct hub *hub)
{
	return hub->plain ? listener_port(hub->plain) : 0;
}

int
hub_provisioning_port(const struct hub *hub)
{
	return hub->provisioning ? provisioning_server_https_port(hub->provisioning) : 0;
}

int
hub_provisioning_mqtt_port(const struct hub *hub)
{
	return hub->provisioning ? provisioning_server_mqtt_port(hub->provisioning) : 0;
}

const char *
hub_id_scope(const struct hub *hub)
{
	return hub->provisioning ? provisioning_server_id_scope(hub->provisioning) : NULL;
}

int
hub_run(struct hub *hub, struct err *err)
{
	rotation_keeper_start(hub->rotations);
	command_queue_start(hub->commands, hub->loops.item[0]);
	hub_est_start(hub->est);
	hub_revocation_start(hub->revocation);
	hub_roots_start(hub->roots);
	issuing_status_start(hub->issuing_status);
	if (hub->config.watch_turns)
		turns_watch(hub->loops.item, hub->loops.n);
	if (loops_start(&hub->loops, err) < 0)
		return -1;
	loop_run(hub->loops.item[0]);
	if (hub->problem.kind == ERR_NONE)
		return 0;
	*err = hub->problem;
	return -1;
}

/* No new work: the other threads end, and then this one may touch the ears that the listeners have on each loop. */
static void
end_connections(struct hub *hub)
{
	loops_stop(&hub->loops);
	if (hub->config.watch_turns)
		turns_tell(hub->loops.item, hub->loops.n);
	listener_close(hub->mqtt);
	listener_close(hub->https);
	if (hub->plain)
		listener_close(hub->plain);
	provisioning_server_shut(hub->provisioning);
	pool_free(hub->handshakes);
	loops_abort_connections(&hub->loops);
}

/* What was begun is made durable, and the threads beside the loops end. */
static void
end_work(struct hub *hub)
{
	files_stop(hub->files);
	hub_est_stop(hub->est);
	issuing_status_stop(hub->issuing_status);
	if (hub->registry)
		registry_stop(hub->registry);
	queries_stop(hub->queries);
	jobs_stop(hub->jobs);
	event_outbox_stop(hub->outbox);
	pool_free(hub->worker);
	provisioning_server_stop(hub->provisioning);
	for (size_t i = 0; i < HUB_SINKS_MAX; i++)
		event_sink_stop(hub->sinks[i]);
	event_readers_stop(hub->readers);
	marks_stop(hub->marks);
	message_log_stop(hub->events);
	scope_push_stop(hub->scope_push);
	methods_stop(hub->methods);
	faults_stop(hub->faults);
}

/* Who serves, then what was served, then where it stands: the other way round than they were opened. */
static void
free_heads(struct hub *hub)
{
	strand_door_free(hub->strands);
	mqtt_head_free(hub->mqtt_head);
	http_head_free(hub->http_head);
	http_server_free(hub->http);
	if (hub->plain_http)
		http_server_free(hub->plain_http);
	provisioning_server_free(hub->provisioning);
	issuing_status_close(hub->issuing_status);
	issuing_close(hub->issuing);
	hub_revocation_close(hub->revocation);
	hub_roots_free(hub->roots);
	hub_est_close(hub->est);
	key_source_free(hub->keys);
	directory_free(hub->directory);
	hub_head_free(hub->head);
}

static void
free_subjects(struct hub *hub)
{
	refusals_free(hub->refusals);
	event_source_free(hub->source);
	event_outbox_close(hub->outbox);
	event_readers_free(hub->readers);
	scope_push_free(hub->scope_push);
	scope_journal_close(hub->scopes);
	methods_free(hub->methods);
	configurations_close(hub->configurations);
	jobs_close(hub->jobs);
	command_sessions_free(hub->command_sessions);
	command_queue_close(hub->commands);
	twin_sessions_free(hub->twin_sessions);
	twins_free(hub->twins);
	queries_free(hub->queries);
	rotation_keeper_close(hub->rotations);
	ca_close(hub->cas);
	faults_free(hub->faults);
}

static void
free_state(struct hub *hub)
{
	subscriptions_close(hub->subscriptions);
	policy_keeper_close(hub->policies);
	files_close(hub->files);
	mem_free(hub->files_path);
	registry_close(hub->registry);
	registry_store_close(hub->store);
	marks_close(hub->marks);
	message_log_free(hub->events);
	hub_tls_close(&hub->tls);
	tls_cache_free(hub->tls_cache);
}

void
hub_close(struct hub *hub)
{
	end_connections(hub);
	end_work(hub);
	loops_clear(&hub->loops); /* runs what still comes back to it */
	free_heads(hub);
	free_subjects(hub);
	free_state(hub);
	mem_free(hub);
}
