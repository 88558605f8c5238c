/* SPDX-License-Identifier: Apache-2.0 */
/* The local door.  Answers are made on a thread of its own: some read the disk, and neither devices nor the hub's answers wait for that. */
#include "gateway/local/local_door.h"

#include <unistd.h>

#include "base/mem.h"
#include "common/activation.h"
#include "net/http_server.h"
#include "net/listener.h"

#define N_WORKERS 1
#define QUEUE_MAX 64
#define CONNS_MAX 64
#define ARRIVE_MS 5000
#define BODY_MAX (256 * 1024)
#define SAMPLE_EVERY_MS 60000

struct local_door {
	struct local_door_config config;
	struct timer sample;
	struct pool *workers;
	struct http_server *metrics_http, *control_http;
	struct listener *metrics, *control;
};

/* For anybody who reaches the port. */
static void
on_metrics_request(struct http_request *req, void *arg)
{
	const struct local_door *door = arg;

	local_api_answer(&door->config.api, req, LOCAL_READER);
}

/* The socket's mode and its folder say the same; root may have changed either. */
static enum local_caller
caller_of(const struct http_request *req)
{
	struct peer_process peer;
	bool is_operator = http_peer_process(req, &peer) && (peer.uid == 0 || peer.uid == geteuid());

	return is_operator ? LOCAL_OPERATOR : LOCAL_STRANGER;
}

static void
on_control_request(struct http_request *req, void *arg)
{
	const struct local_door *door = arg;

	local_api_answer(&door->config.api, req, caller_of(req));
}

static bool
on_control_begin(struct http_request *req, void *arg)
{
	const struct local_door *door = arg;

	return local_api_begin(&door->config.api, req, caller_of(req));
}

static struct http_server *
serve(struct local_door *door, void (*handle)(struct http_request *req, void *arg),
	bool (*handle_now)(struct http_request *req, void *arg))
{
	return http_server_new(&(struct http_server_config){ .handle = handle,
		.handle_now = handle_now,
		.arg = door,
		.pool = door->workers,
		.arrive_ms = ARRIVE_MS,
		.max_body = BODY_MAX });
}

static struct listener *
listen_at(struct local_door *door, struct listener_config config, struct http_server *http, struct err *err)
{
	config.ops = http_server_ops();
	config.on_accept = http_server_on_accept;
	config.user = http;
	config.max_conns = CONNS_MAX;
	activation_adopt(&config);
	return listener_open(&door->config.loop, 1, &config, err);
}

static int
open_metrics(struct local_door *door, struct err *err)
{
	const struct local_door_config *c = &door->config;

	if (c->metrics_port < 0)
		return 0;
	door->metrics_http = serve(door, on_metrics_request, NULL);
	door->metrics = listen_at(
		door, (struct listener_config){ .address = c->metrics_address, .port = c->metrics_port }, door->metrics_http, err);
	return door->metrics ? 0 : err_wrap(err, "metrics ([gateway] metrics_port)");
}

static int
open_control(struct local_door *door, struct err *err)
{
	door->control_http = serve(door, on_control_request, on_control_begin);
	door->control = listen_at(door, (struct listener_config){ .unix_path = door->config.control_path, .unix_mode = 0600 },
		door->control_http, err);
	return door->control ? 0 : err_wrap(err, "the operator's socket");
}

static void
on_sample(struct timer *timer)
{
	noted_minute();
	timer_arm(timer, SAMPLE_EVERY_MS);
}

struct local_door *
local_door_open(const struct local_door_config *config, struct err *err)
{
	struct local_door *door = NEW(local_door);

	door->config = *config;
	timer_init(&door->sample, config->loop, on_sample);
	on_sample(&door->sample);
	door->workers = pool_new("local", N_WORKERS, QUEUE_MAX);
	if (open_control(door, err) == 0 && open_metrics(door, err) == 0)
		return door;
	local_door_shut(door);
	local_door_free(door);
	return NULL;
}

int
local_door_metrics_port(const struct local_door *door)
{
	return door->metrics ? listener_port(door->metrics) : -1;
}

void
local_door_shut(struct local_door *door)
{
	if (!door)
		return;
	if (door->metrics)
		listener_close(door->metrics);
	if (door->control)
		listener_close(door->control);
	pool_free(door->workers);
	door->workers = NULL;
}

void
local_door_free(struct local_door *door)
{
	if (!door)
		return;
	timer_cancel(&door->sample);
	http_server_free(door->metrics_http);
	http_server_free(door->control_http);
	mem_free(door);
}
