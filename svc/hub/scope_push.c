/* SPDX-License-Identifier: Apache-2.0 */
/* The registry's worker collects names a gateway; the loop looks every second what there is to tell (scope_push.h). */
#include "hub/scope_push.h"

#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

#define METHOD_NAME "RefreshDeviceScopeIdentityCache"
#define EVERY_MS 1000
#define ANSWER_WITHIN_MS 30000
#define CALLS_A_TURN 200     /* of all gateways */
#define NAMES_A_CALL 400     /* of 257 characters at most: with some room the payload of a method */
#define NAMES_MAX 5000	     /* a gateway */
#define NAMES_SUM_MAX 100000 /* of all */

/* What one gateway is to be told. */
struct news {
	char *gateway;
	struct map *names; /* values are of no meaning */
	bool is_more;	   /* than the names tell */
	bool is_calling;
};

struct scope_push {
	struct registry *registry;
	struct methods *methods;
	struct loop *loop;
	pthread_mutex_t lock; /* for what follows */
	struct map *news;     /* by gateway */
	size_t n_names;
	bool is_waking, is_stopped;
	struct post wake;
	/* The loop's. */
	struct timer timer;
	int64_t turned_ms;
};

/* -- Collecting, with the lock -------------------------------------------------------------------------------------------------------- */

static struct news *
need_news(struct scope_push *push, const char *gateway)
{
	struct news *news = map_find_text(push->news, gateway);

	if (news)
		return news;
	news = NEW(news);
	news->gateway = mem_text(gateway);
	news->names = map_new();
	map_put_text(push->news, gateway, news);
	return news;
}

/* name NULL: something that has none.  Names are told also where there is more than they tell: an original gateway knows nothing else. */
static void
collect(struct scope_push *push, const char *gateway, const char *name)
{
	struct news *news = need_news(push, gateway);

	if (!name || map_count(news->names) >= NAMES_MAX || push->n_names >= NAMES_SUM_MAX)
		news->is_more = true;
	else if (!map_put_text(news->names, name, push))
		push->n_names++;
	if (!push->is_waking && !push->is_stopped) {
		push->is_waking = true;
		loop_post(push->loop, &push->wake);
	}
}

static void
drop(struct scope_push *push, struct news *news)
{
	map_remove_text(push->news, news->gateway);
	push->n_names -= map_count(news->names);
	map_free(news->names);
	mem_free(news->gateway);
	mem_free(news);
}

/* -- Calling; on the loop --------------------------------------------------------------------------------------------------------------- */

struct push_call {
	struct method_call method;
	struct scope_push *push;
	char *gateway;
};

static void
push_call_free(struct push_call *call)
{
	method_call_clear(&call->method);
	mem_free(call->gateway);
	mem_free(call);
}

static void
turn_soon(struct scope_push *push)
{
	int64_t left = push->turned_ms + EVERY_MS - clock_boot_ms();

	timer_arm(&push->timer, left > 0 ? left : 0);
}

/* A gateway that is not there, or whose session ended, asks when it comes. */
static bool
is_there(enum method_answer answer)
{
	return answer != METHOD_NOT_ONLINE && answer != METHOD_CLOSED && answer != METHOD_GONE;
}

static void
on_done(struct method_call *method)
{
	struct push_call *call = CONTAINER_OF(method, struct push_call, method);
	struct scope_push *push = call->push;
	struct news *news;
	bool is_more;

	pthread_mutex_lock(&push->lock);
	news = map_find_text(push->news, call->gateway);
	news->is_calling = false;
	is_more = is_there(method->answer) && (map_count(news->names) > 0 || news->is_more);
	if (!is_more)
		drop(push, news);
	is_more = is_more && !push->is_stopped;
	pthread_mutex_unlock(&push->lock);
	push_call_free(call);
	if (is_more)
		turn_soon(push);
}

/* With the lock: as many names as fit, which are then told. */
static char *
make_payload(struct scope_push *push, struct news *news)
{
	json_t *ids = json_array();
	OWN_LIB(json_t) payload = json_pack("{s:o}", "deviceIds", ids);

	while (json_array_size(ids) < NAMES_A_CALL && map_count(news->names) > 0) {
		const void *name;
		size_t at = 0, len;
		OWN_TEXT text = NULL;

		map_next(news->names, &at, &name, &len, NULL);
		text = slice_text((struct slice){ .text = name, .len = len });
		json_array_append_new(ids, json_string(text));
		map_remove_text(news->names, text);
		push->n_names--;
	}
	news->is_more = false;
	return json_line(payload);
}

static struct push_call *
call_new(struct scope_push *push, struct news *news, struct identity *hub_module_take)
{
	struct push_call *call = NEW(push_call);

	call->push = push;
	call->gateway = mem_text(news->gateway);
	call->method = (struct method_call){ .identity = hub_module_take,
		.name = mem_text(METHOD_NAME),
		.payload = make_payload(push, news),
		.response_ms = ANSWER_WITHIN_MS,
		.done = on_done };
	return call;
}

/* With the lock.  false: too much is on its way. */
static bool
tell(struct scope_push *push, struct news *news)
{
	struct identity *hub_module = registry_find(push->registry, news->gateway, "$edgeHub");
	struct push_call *call;

	if (!hub_module) {
		drop(push, news);
		return true;
	}
	call = call_new(push, news, hub_module);
	news->is_calling = methods_submit(push->methods, &call->method, push->loop);
	if (news->is_calling)
		return true;
	push_call_free(call);
	news->is_more = true;
	return false;
}

/* Those of one turn; their news may go while they are told. */
static size_t
choose(const struct scope_push *push, struct news **chosen)
{
	size_t at = 0, n = 0;
	void *value;

	while (n < CALLS_A_TURN && map_next(push->news, &at, NULL, NULL, &value)) {
		struct news *news = value;

		if (!news->is_calling)
			chosen[n++] = news;
	}
	return n;
}

static void
on_timer(struct timer *timer)
{
	struct scope_push *push = CONTAINER_OF(timer, struct scope_push, timer);
	struct news *chosen[CALLS_A_TURN];
	bool is_full = false;
	size_t n;

	push->turned_ms = clock_boot_ms();
	pthread_mutex_lock(&push->lock);
	n = choose(push, chosen);
	for (size_t i = 0; i < n && !is_full; i++)
		is_full = !tell(push, chosen[i]);
	pthread_mutex_unlock(&push->lock);
	if (n == CALLS_A_TURN || is_full)
		turn_soon(push);
}

static void
on_wake(struct post *post)
{
	struct scope_push *push = CONTAINER_OF(post, struct scope_push, wake);

	pthread_mutex_lock(&push->lock);
	push->is_waking = false;
	pthread_mutex_unlock(&push->lock);
	if (!push->is_stopped && push->timer.place == 0)
		turn_soon(push);
}

/* -- From the journal; on the registry's worker ----------------------------------------------------------------------------------------- */

static void
collect_of_gateway(void *arg, const struct identity *identity)
{
	struct scope_push *push = arg;

	if (identity->module_id || !identity->is_edge)
		return;
	pthread_mutex_lock(&push->lock);
	collect(push, identity->device_id, NULL);
	pthread_mutex_unlock(&push->lock);
}

/* The gateway in whose list it stands, and those above that, who let it in too. */
static void
collect_upwards(struct scope_push *push, const char *gateway_id, const char *name)
{
	struct identity *at = registry_find(push->registry, gateway_id, NULL), *above;

	for (int level = 0; at && level <= REGISTRY_LEVELS_MAX; level++) {
		pthread_mutex_lock(&push->lock);
		collect(push, at->device_id, name);
		pthread_mutex_unlock(&push->lock);
		above = registry_find_parent(push->registry, at);
		identity_free(at);
		at = above;
	}
	identity_free(at);
}

static void
on_change(void *arg, const char *gateway_id, const char *name)
{
	struct scope_push *push = arg;

	if (gateway_id)
		collect_upwards(push, gateway_id, name);
	else
		registry_each(push->registry, collect_of_gateway, push);
}

struct scope_push *
scope_push_new(struct scope_journal *journal, struct registry *registry, struct methods *methods, struct loop *loop)
{
	struct scope_push *push = NEW(scope_push);

	push->registry = registry;
	push->methods = methods;
	push->loop = loop;
	push->news = map_new();
	push->turned_ms = clock_boot_ms() - EVERY_MS;
	push->wake.run = on_wake;
	pthread_mutex_init(&push->lock, NULL);
	timer_init(&push->timer, loop, on_timer);
	scope_journal_watch(journal, on_change, push);
	return push;
}

void
scope_push_stop(struct scope_push *push)
{
	if (!push)
		return;
	push->is_stopped = true;
	timer_cancel(&push->timer);
}

void
scope_push_free(struct scope_push *push)
{
	size_t at = 0;
	void *value;

	if (!push)
		return;
	while (map_next(push->news, &at, NULL, NULL, &value)) {
		struct news *news = value;

		map_free(news->names);
		mem_free(news->gateway);
		mem_free(news);
	}
	map_free(push->news);
	pthread_mutex_destroy(&push->lock);
	mem_free(push);
}
