/* SPDX-License-Identifier: Apache-2.0 */
/* Services on unix sockets. */
#include <stdatomic.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/option.h"
#include "common/activation.h"
#include "common/config_watch.h"
#include "common/local_service.h"
#include "net/listener.h"
#include "wire/json.h"

#define SOCKETS_MAX 72
#define QUEUE_MAX 256
#define SLOW_WORKERS 3 /* each keeps a connection to who it asks, of the ten that a user may have there */
#define ARRIVE_MS 5000 /* edge-services 0.1 */
#define DRAIN_MS 5000

struct local_service {
	const struct endpoint_table *table;
	struct loop *loop;
	struct pool *workers, *slow; /* slow: NULL where nobody waits */
	struct config_watch *watch;  /* or NULL */
	struct http_server *servers[SOCKETS_MAX];
	struct listener *listeners[SOCKETS_MAX];
	struct endpoint_door doors[SOCKETS_MAX];
	size_t n, n_draining;
	void (*ending)(void *arg); /* or NULL */
	void *ending_arg;
	struct timer drain_limit;
	struct post end;
	atomic_bool has_end; /* posted, once */
	bool is_ending;
};

struct local_service *
local_service_new(const struct endpoint_table *table)
{
	struct local_service *s = NEW(local_service);

	s->table = table;
	s->loop = loop_new("service");
	s->workers = pool_new("worker", table->n_workers ? table->n_workers : LOCAL_WORKERS, QUEUE_MAX);
	return s;
}

int
local_service_listen(struct local_service *s, const char *path, mode_t mode, size_t max_per_caller, void *door, struct err *err)
{
	return local_service_listen_for(s, s->table, path, mode, max_per_caller, door, err);
}

int
local_service_listen_for(struct local_service *s, const struct endpoint_table *table, const char *path, mode_t mode,
	size_t max_per_caller, void *door, struct err *err)
{
	struct listener_config config = { .unix_path = path,
		.unix_mode = mode,
		.ops = http_server_ops(),
		.on_accept = http_server_on_accept,
		.max_conns = 1024,
		.max_per_peer = max_per_caller };
	struct loop *loops[] = { s->loop };

	if (s->n == SOCKETS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d sockets", SOCKETS_MAX);
	s->doors[s->n] = (struct endpoint_door){ .table = table, .door = door };
	if (!s->slow && table->n_waits > 0)
		s->slow = pool_new("slow", SLOW_WORKERS, QUEUE_MAX);
	s->servers[s->n] = http_server_new(&(struct http_server_config){ .handle = endpoint_handle,
		.handle_now = endpoint_handle_now,
		.is_slow = s->slow ? endpoint_is_slow : NULL,
		.slow = s->slow,
		.arg = &s->doors[s->n],
		.pool = s->workers,
		.arrive_ms = ARRIVE_MS });
	config.user = s->servers[s->n];
	activation_adopt(&config);
	s->listeners[s->n] = listener_open(loops, 1, &config, err);
	s->n++;
	return s->listeners[s->n - 1] ? 0 : -1;
}

/* -- The end in order -------------------------------------------------------------------------------------------------------------------- */

static void
on_drained(void *arg)
{
	struct local_service *s = arg;

	if (--s->n_draining == 0)
		loop_stop(s->loop);
}

static void
on_drain_limit(struct timer *timer)
{
	struct local_service *s = CONTAINER_OF(timer, struct local_service, drain_limit);

	log_warn("requests that have not ended after %d s are cut off", DRAIN_MS / 1000);
	loop_stop(s->loop);
}

/* Nobody new is let in, and who was let in gets his answer. */
static void
on_terminate(void *arg)
{
	struct local_service *s = arg;

	if (s->is_ending)
		return;
	s->is_ending = true;
	service_stopping();
	if (s->ending)
		s->ending(s->ending_arg);
	timer_init(&s->drain_limit, s->loop, on_drain_limit);
	timer_arm(&s->drain_limit, DRAIN_MS);
	s->n_draining = s->n + 1;
	for (size_t i = 0; i < s->n; i++) {
		listener_close(s->listeners[i]);
		s->listeners[i] = NULL;
	}
	for (size_t i = 0; i < s->n; i++)
		http_server_drain(s->servers[i], s->loop, on_drained, s);
	on_drained(s);
}

static void
on_end(struct post *post)
{
	on_terminate(CONTAINER_OF(post, struct local_service, end));
}

void
local_service_end(struct local_service *s)
{
	if (atomic_exchange(&s->has_end, true))
		return;
	s->end.run = on_end;
	loop_post(s->loop, &s->end);
}

void
local_service_on_end(struct local_service *s, void (*ending)(void *arg), void *arg)
{
	s->ending = ending;
	s->ending_arg = arg;
}

/* -- Running --------------------------------------------------------------------------------------------------------------------------- */

void
local_service_on_change(struct local_service *s, const struct service_options *options,
	int (*changed)(const json_t *config, void *arg, struct err *err), void *arg)
{
	s->watch = config_watch_start(s->loop, options->config_path, changed, arg);
}

static void
look_at_config(void *service)
{
	struct local_service *s = service;

	config_watch_look(s->watch);
}

void
local_service_run(struct local_service *s, const struct service_options *options, json_t *ready_take)
{
	service_handle_signals(s->loop, s->watch ? look_at_config : NULL, s);
	loop_on_terminate(s->loop, on_terminate, s);
	if (options)
		service_ready(options, ready_take);
	loop_run(s->loop);
}

void
local_service_free(struct local_service *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		listener_close(s->listeners[i]);
	config_watch_stop(s->watch);
	pool_free(s->workers);
	if (s->slow)
		pool_free(s->slow);
	loop_free(s->loop);
	for (size_t i = 0; i < s->n; i++)
		http_server_free(s->servers[i]);
	mem_free(s);
}

/* -- main ------------------------------------------------------------------------------------------------------------------------------ */

struct options {
	struct service_options service;
};

static const struct option_row rows[] = {
	{ "config", 'c', "FILE", "its configuration, as `rootedge edge` writes it", OPTION_TEXT,
		offsetof(struct options, service.config_path), 0, 0 },
	SERVICE_OPTION_ROWS(struct options, service),
	{ 0 },
};

int
local_service_main(const struct local_service_role *role, int argc, char **argv)
{
	OWN_TEXT command = mem_textf("rootedge %s", role->name);
	struct option_usage usage = { .command = command, .arguments = "", .summary = role->summary, .rows = rows };
	struct options options = { .service = { .ready_fd = -1 } };
	OWN_LIB(json_t) config = NULL;
	struct err err = ERR_INIT;
	int status;

	if (option_parse(&usage, &options, argc, argv, &err) != 0) {
		fprintf(stderr, "%s\n", *err.text ? err.text : "this command takes options only");
		return 2;
	}
	service_start(role->name, &options.service);
	config = config_load(options.service.config_path, &err);
	status = config ? role->serve(config, &options.service, &err) : -1;
	if (status < 0)
		log_error("%s", err.text);
	return status < 0 ? SERVICE_FAILED : status;
}
