/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway put together.  Devices' connections are spread over the loops; forwarding has a loop of its own, because it writes its position to the disk; workers ask
 * edged, keyd and the hub.  Closing goes the other way round: no new work, then the loops, then what was on its way, then what that touches. */
#include "gateway/gateway.h"

#include <stdatomic.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "common/activation.h"
#include "common/loops.h"
#include "common/service.h"
#include "common/turns.h"
#include "gateway/edge_hub/edge_hub.h"
#include "gateway/edge_hub/presence_method.h"
#include "gateway/edge_hub/scope_method.h"
#include "gateway/front/front.h"
#include "gateway/keep/freshness.h"
#include "gateway/upstream/forward.h"
#include "gateway/gateway_head.h"
#include "gateway/gateway_revocation.h"
#include "gateway/gauges/gateway_metrics.h"
#include "gateway/gauges/hub_presence.h"
#include "gateway/local/keyd_watch.h"
#include "gateway/local/local_door.h"
#include "gateway/queue/queue.h"
#include "gateway/rejudge.h"
#include "gateway/routes/route_source.h"
#include "gateway/scope/refresher.h"
#include "gateway/server_cert.h"
#include "heads/mqtt_head.h"
#include "net/listener.h"

#define DESCRIPTORS_OWN 64 /* about so many are open without devices and lines */
#define TLS_SESSIONS_MAX 20000
#define N_WORKERS 4
#define WORK_QUEUE_MAX 1024
#define N_QUESTIONERS 2
#define QUESTION_QUEUE_MAX 64
#define HANDSHAKE_QUEUE_MAX 4096

struct gateway {
	struct gateway_config config;
	struct loops loops;
	struct loop *forward_loop;
	struct pool *workers, *questions, *children, *handshakes;
	struct keyd_client *keyd;
	struct keyd_watch *keyd_watch;
	struct upstream *upstream;
	struct freshness *scope_freshness, *keep_freshness;
	struct scope *scope;
	struct gateway_revocation *revocation;
	struct refresher *refresher;
	struct queue *queue;
	struct keep *keep;
	struct route_source *routes;
	struct inputs *inputs;
	struct lines *lines;
	struct relay *relay;
	struct edge_hub *edge_hub;
	struct client_list *clients;
	struct forward *forward;
	struct directory *directory;
	struct methods *methods;
	struct hub_news *news;
	struct post presence;
	atomic_bool has_presence; /* it is posted */
	bool was_lost_above, is_closing;
	struct tls_cache *tls_cache;
	struct server_cert *server_cert;
	struct gateway_head *head;
	struct rejudge *rejudge;
	struct mqtt_head *mqtt_head;
	struct listener *mqtt;
	struct listener_share devices; /* connections on either port */
	struct front *front;
	char *control_path;
	struct local_door *local;
	struct audit *audit;
	struct door_book *book;
	atomic_bool is_damaged;
	struct job edged_job;
	bool is_telling_edged;
};

static void
open_loops(struct gateway *g)
{
	loops_init(&g->loops, g->config.n_loops);
	g->forward_loop = loop_new("forward");
	g->workers = pool_new("work", N_WORKERS, WORK_QUEUE_MAX);
	g->questions = pool_new("question", N_QUESTIONERS, QUESTION_QUEUE_MAX);
	g->children = pool_new("child", N_QUESTIONERS, QUESTION_QUEUE_MAX);
	g->handshakes = pool_new("tls", g->loops.n, HANDSHAKE_QUEUE_MAX);
}

static int
open_state(struct gateway *g, struct err *err)
{
	struct queue_config queue = {
		.state_dir = g->config.state_dir,
		.edge_id = g->config.upstream.edge_id,
		.max_bytes = g->config.max_queue_bytes,
		.when_full = g->config.when_full,
		.loop = g->forward_loop,
	};

	if (file_make_dir(g->config.state_dir, 0700, err) < 0)
		return -1;
	g->queue = queue_open(&queue, err);
	if (!g->queue)
		return -1;
	for (size_t i = 0; i < g->loops.n; i++)
		queue_add_lane(g->queue, loop_owner(g->loops.item[i]));
	g->upstream = upstream_open(&g->config.upstream, err);
	if (!g->upstream)
		return -1;
	g->keyd = keyd_client_new(g->config.keyd_path);
	g->scope_freshness = freshness_new(g->keyd, "scope");
	g->scope = scope_open(g->upstream, g->scope_freshness, g->config.state_dir, err);
	if (!g->scope)
		return -1;
	g->keep_freshness = freshness_new(g->keyd, "kept");
	g->keep = keep_open(g->config.state_dir, &g->config.upstream.workload, g->keep_freshness, err);
	if (!g->keep)
		return -1;
	g->revocation = gateway_revocation_new(g->config.crl_dir, g->config.state_dir, g->scope, g->loops.item[0], g->workers);
	return 0;
}

static int
open_certificate(struct gateway *g, struct err *err)
{
	struct server_cert_config config = {
		.loop = g->loops.item[0],
		.workers = g->workers,
		.workload = &g->config.upstream.workload,
		.address = g->config.address,
		.hostname = g->config.hostname,
		.names_file = g->config.names_file,
		.further = g->config.server_certs,
		.n_further = g->config.n_server_certs,
	};

	g->tls_cache = tls_cache_new(TLS_SESSIONS_MAX);
	config.keyd = g->keyd;
	config.cache = g->tls_cache;
	g->server_cert = server_cert_open(&config, err);
	return g->server_cert ? 0 : -1;
}

static void
on_hub_reached(void *arg)
{
	const struct gateway *g = arg;

	refresher_hurry(g->refresher);
}

/* Whether the hub is away or has withdrawn its trust, its answer to a question says best. */
static void
on_own_lost(void *arg)
{
	const struct gateway *g = arg;

	refresher_changed(g->refresher, NULL, 0);
}

/* Or devices take every descriptor, and none is left for a line. */
static void
on_way(void *arg, bool is_alone)
{
	struct gateway *g = arg;

	g->devices.most = is_alone ? (size_t)(service_last_descriptor() - DESCRIPTORS_OWN) / 2 : SIZE_MAX;
}

static void
on_own_news(void *arg, const json_t *twin)
{
	const struct gateway *g = arg;

	edge_hub_news(g->edge_hub, twin);
}

static int
open_relay(struct gateway *g, struct err *err)
{
	struct lines_config lines = {
		.loop = g->forward_loop,
		.workers = g->workers,
		.upstream = g->upstream,
		.scope = g->scope,
		.connects_per_second = g->config.connects_per_second,
		.on_hub_reached = on_hub_reached,
		.on_own_lost = on_own_lost,
		.on_way = on_way,
		.arg = g,
	};
	struct relay_config relay = { .keep = g->keep,
		.queue = g->queue,
		.edge_id = g->config.upstream.edge_id,
		.audience = { .trusted = gateway_head_subject },
		.on_own_news = on_own_news,
		.arg = g };

	g->devices.most = SIZE_MAX;
	g->directory = directory_new();
	g->clients = client_list_new();
	g->lines = relay.lines = lines_new(&lines);
	g->methods = relay.methods = methods_new(g->directory, gateway_head_subject);
	g->news = hub_news_new(g->forward_loop, g->methods, g->scope);
	relay.audience.directory = g->directory;
	g->relay = relay_open(&relay, err);
	if (!g->relay)
		return -1;
	g->edge_hub = edge_hub_new(g->lines, relay_twins(g->relay), g->clients);
	return 0;
}

/* The next start saves what can be read (queue_log.h). */
static void
on_damage(void *arg)
{
	struct gateway *g = arg;

	g->is_damaged = true;
	loop_stop(g->loops.item[0]);
}

static struct inputs *
open_inputs(struct gateway *g)
{
	struct inputs_config inputs = {
		.loop = g->forward_loop,
		.queue = g->queue,
		.directory = g->directory,
		.edge_id = g->config.upstream.edge_id,
		.on_damage = on_damage,
		.arg = g,
	};

	return inputs_new(&inputs);
}

static int
open_front(struct gateway *g, struct err *err)
{
	struct gateway_head_config head = {
		.audience = { .host = g->config.upstream.hub_host,
			.is_own_name = server_cert_has_name,
			.arg = g->server_cert,
			.ids_in_any_case = true },
		.edge_id = g->config.upstream.edge_id,
		.scope = g->scope,
		.revocation = g->revocation,
		.questions = g->questions,
		.tls_cache = g->tls_cache,
		.queue = g->queue,
		.relay = g->relay,
		.offline = &g->config.offline,
		.tenure = g->config.tenure,
		.clients = g->clients,
	};
	struct mqtt_head_config mqtt = { .who = "gateway", .ops = &gateway_head_ops };
	struct listener_config listener = {
		.address = g->config.address,
		.port = g->config.mqtt_port,
		.tls = server_cert_holder(g->server_cert),
		.handshakes = g->handshakes,
		.ops = mqtt_head_ops(),
		.on_accept = mqtt_head_on_accept,
		.max_conns = g->config.max_connections,
		.last_fd = service_last_descriptor(),
		.share = &g->devices,
		.accepts_per_second = g->config.accepts_per_second,
		.accept_burst = g->config.accepts_per_second,
	};
	struct front_config front = {
		.api = { .edge_id = g->config.upstream.edge_id,
			.scope = g->scope,
			.upstream = g->upstream,
			.news = g->news,
			.questions = g->children },
		.head_ops = &gateway_head_ops,
	};

	g->audit = audit_open(g->config.state_dir, g->config.max_audit_bytes, g->loops.item[0], g->workers);
	g->book = head.book = door_book_new(g->audit, g->config.max_clients);
	head.directory = mqtt.directory = g->directory;
	g->inputs = head.inputs = open_inputs(g);
	front.api.methods = g->methods;
	g->head = gateway_head_new(&head);
	mqtt.backend = g->head;
	g->mqtt_head = mqtt_head_new(&mqtt);
	front.mqtt_head = listener.user = g->mqtt_head;
	front.backend = g->head;
	front.listener = listener;
	front.listener.port = g->config.https_port;
	front.is_optional = g->config.https_is_optional;
	activation_adopt(&listener);
	g->mqtt = listener_open(g->loops.item, g->loops.n, &listener, err);
	if (!g->mqtt)
		return err_wrap(err, "MQTT ([gateway] mqtt_port)");
	g->front = front_open(g->loops.item, g->loops.n, &front, err);
	if (!g->front)
		return err_wrap(err, "HTTPS ([gateway] https_port)");
	gateway_head_watch_gateways(g->head, front_recheck, g->front);
	return 0;
}

static int
open_local(struct gateway *g, struct err *err)
{
	OWN_TEXT id = identity_name(g->config.upstream.edge_id, g->config.upstream.workload.module_id);
	struct local_door_config config = {
		.loop = g->loops.item[0],
		.api.sources = {
			.scope = g->scope,
			.directory = g->directory,
			.queue = g->queue,
			.offline = &g->config.offline,
			.state_dir = g->config.state_dir,
			.keyd = g->keyd,
			.mqtt = g->mqtt,
			.https = front_listener(g->front),
			.https_problem = front_problem(g->front),
			.has_parent = g->config.upstream.parent_host != NULL,
		},
		.api.names = {
			.hostname = g->config.hostname,
			.hub = g->config.upstream.hub_host,
			.parent = g->config.upstream.parent_host,
			.edge_id = g->config.upstream.edge_id,
		},
		.api.devices = { .scope = g->scope, .directory = g->directory, .decisions = door_book_decisions(g->book) },
		.api.methods = g->methods,
		.api.twins = relay_twins(g->relay),
		.metrics_address = g->config.metrics_address,
		.metrics_port = g->config.metrics_port,
	};

	gateway_metrics_begin(g->config.upstream.hub_host, g->config.upstream.edge_id);
	hub_presence_begin(g->config.upstream.edge_id, id, g->config.upstream.parent_host != NULL);
	g->control_path = file_join(g->config.state_dir, "control.sock");
	config.control_path = g->control_path;
	g->local = local_door_open(&config, err);
	return g->local ? 0 : -1;
}

static int
apply_routes(void *arg, struct routes *routes, struct err *err)
{
	struct gateway *g = arg;

	return queue_set_routes(g->queue, routes, err);
}

/* Where edged began without the hub it takes its word for what was kept, and asks again in half an hour; the gateway hears first when it is back. */
static void
tell_edged(struct job *job)
{
	const struct gateway *g = CONTAINER_OF(job, struct gateway, edged_job);
	struct err ignored = ERR_INIT; /* an older edged, or one that starts: it looks by itself */

	(void)workload_hub_reached(&g->config.upstream.workload, &ignored);
}

static void
on_edged_told(struct job *job)
{
	CONTAINER_OF(job, struct gateway, edged_job)->is_telling_edged = false;
}

/* What has changed since the hub could tell it last. */
static void
on_hub_tells_again(void *arg)
{
	struct gateway *g = arg;

	refresher_changed(g->refresher, NULL, 0);
	if (g->is_telling_edged)
		return;
	g->edged_job = (struct job){ .run = tell_edged, .done = on_edged_told, .owner = loop_owner(g->forward_loop) };
	g->is_telling_edged = pool_try(g->workers, &g->edged_job);
}

/* Those below hear of it; and when the hub is back beyond the parent, there may be as much news as when it is back itself. */
static void
look_at_presence(struct post *post)
{
	struct gateway *g = CONTAINER_OF(post, struct gateway, presence);
	struct hub_presence now;
	bool is_lost_above;

	if (g->is_closing)
		return;
	atomic_store(&g->has_presence, false);
	now = hub_presence();
	hub_news_tell(g->news);
	is_lost_above = now.reach == HUB_REACHED && !hub_presence_is_served(&now);
	if (is_lost_above && !g->was_lost_above)
		log_warn("the hub is out of reach: %s, above this gateway, %s", now.beyond.gateway,
			now.beyond.reach == HUB_AWAY ? "has lost those above it" : "is refused by those above it");
	if (g->was_lost_above && hub_presence_is_served(&now)) {
		log_info("the hub is within reach again, above this gateway");
		on_hub_tells_again(g);
	}
	g->was_lost_above = is_lost_above;
}

static void
on_presence(void *arg)
{
	struct gateway *g = arg;

	if (!atomic_exchange(&g->has_presence, true))
		loop_post(g->forward_loop, &g->presence);
}

static void
open_back(struct gateway *g)
{
	struct route_source_config routes = {
		.state_dir = g->config.state_dir,
		.file = g->config.routes_file,
		.loop = g->forward_loop,
		.apply = apply_routes,
		.arg = g,
	};
	struct forward_config config = {
		.queue = g->queue,
		.lines = g->lines,
		.on_damage = on_damage,
		.arg = g,
	};
	struct edge_hub_method scope, presence = presence_method();

	g->presence.run = look_at_presence;
	hub_presence_watch(on_presence, g);
	g->refresher = refresher_new(g->forward_loop, g->workers, g->scope);
	g->routes = route_source_open(&routes);
	inputs_start(g->inputs);
	g->forward = forward_open(&config);
	scope = scope_method(g->refresher);
	edge_hub_serve(g->edge_hub, &scope);
	if (g->config.upstream.parent_host)
		edge_hub_serve(g->edge_hub, &presence);
	edge_hub_watch_link(g->edge_hub, on_hub_tells_again, g);
	edge_hub_watch(g->edge_hub, route_source_desired, g->routes);
	edge_hub_start(g->edge_hub);
	g->rejudge = rejudge_new(g->loops.item[0], g->workers, g->head);
	g->keyd_watch = keyd_watch_new(g->loops.item[0], g->workers, g->keyd, SERVER_CERT_KEY_ID);
}

struct gateway *
gateway_open(const struct gateway_config *config, struct err *err)
{
	struct gateway *g = NEW(gateway);

	g->config = *config;
	open_loops(g);
	if (open_state(g, err) == 0 && open_certificate(g, err) == 0 && open_relay(g, err) == 0 && open_front(g, err) == 0 &&
		open_local(g, err) == 0) {
		open_back(g);
		return g;
	}
	gateway_close(g);
	return NULL;
}

int
gateway_mqtt_port(const struct gateway *g)
{
	return listener_port(g->mqtt);
}

int
gateway_https_port(const struct gateway *g)
{
	return front_port(g->front);
}

int
gateway_metrics_port(const struct gateway *g)
{
	return local_door_metrics_port(g->local);
}

int
gateway_run(struct gateway *g, struct err *err)
{
	service_handle_signals(g->loops.item[0], NULL, NULL);
	gateway_revocation_start(g->revocation);
	if (g->config.watch_turns) {
		turns_watch(g->loops.item, g->loops.n);
		turns_watch(&g->forward_loop, 1);
	}
	if (loop_start_thread(g->forward_loop, err) < 0)
		return -1;
	if (loops_start(&g->loops, err) < 0)
		return -1;
	loop_run(g->loops.item[0]);
	return g->is_damaged ? err_set(err, ERR_BROKEN, "the queue is damaged") : 0;
}

static void
tell_turns(const struct gateway *g)
{
	if (!g->config.watch_turns)
		return;
	turns_tell(g->loops.item, g->loops.n);
	turns_tell(&g->forward_loop, 1);
}

static void
finish_loops(struct gateway *g)
{
	for (size_t i = 0; i < g->loops.n; i++)
		loop_finish(g->loops.item[i]);
}

void
gateway_close(struct gateway *g)
{
	loops_stop(&g->loops);
	loop_stop(g->forward_loop);
	loop_join(g->forward_loop);
	g->is_closing = true;
	tell_turns(g);
	lines_stop(g->lines);
	inputs_stop(g->inputs);
	local_door_shut(g->local); /* it measures what is closed next */
	/* Each loop has an ear of a listener: only now may another thread touch it. */
	if (g->mqtt)
		listener_close(g->mqtt);
	front_shut(g->front);
	pool_free(g->handshakes);
	loops_abort_connections(&g->loops);
	refresher_stop(g->refresher);
	upstream_stop(g->upstream);
	keyd_watch_stop(g->keyd_watch);
	pool_free(g->questions);
	pool_free(g->children);
	pool_free(g->workers);
	hub_presence_watch(NULL, NULL);
	hub_news_stop(g->news);
	keep_stop(g->keep);
	if (g->scope)
		scope_save(g->scope);
	queue_stop(g->queue);
	methods_stop(g->methods);
	finish_loops(g);
	loop_finish(g->forward_loop);
	finish_loops(g); /* what they asked there is answered here */
	lines_free(g->lines);
	edge_hub_free(g->edge_hub);
	relay_close(g->relay);
	forward_close(g->forward);
	refresher_free(g->refresher);
	rejudge_free(g->rejudge);
	keyd_watch_free(g->keyd_watch);
	mqtt_head_free(g->mqtt_head);
	front_free(g->front);
	local_door_free(g->local);
	gateway_head_free(g->head);
	client_list_free(g->clients);
	door_book_free(g->book);
	audit_close(g->audit);
	gateway_revocation_free(g->revocation);
	hub_news_free(g->news);
	methods_free(g->methods);
	directory_free(g->directory);
	inputs_free(g->inputs);
	route_source_free(g->routes);
	queue_free(g->queue);
	server_cert_close(g->server_cert);
	loops_clear(&g->loops);
	loop_free(g->forward_loop);
	tls_cache_free(g->tls_cache);
	scope_close(g->scope);
	keep_close(g->keep);
	freshness_free(g->scope_freshness);
	freshness_free(g->keep_freshness);
	upstream_close(g->upstream);
	keyd_client_free(g->keyd);
	mem_free(g->control_path);
	mem_free(g);
}
