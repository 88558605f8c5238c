/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks is proved first; nothing that he sends is read before. */
#include "gateway/front/front_child.h"

#include <string.h>

#include "auth/on_behalf.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "gateway/gauges/hub_word.h"
#include "wire/json.h"

static void
child_free(struct front_child *child)
{
	if (child->ops->clear)
		child->ops->clear(child);
	mem_free(child->actor_id);
	mem_free(child->device_id);
	json_decref(child->body);
	mem_free(child);
}

#define TOO_MANY_S 1

/* -- On a worker --------------------------------------------------------------------------------------------------------------------------- */

static void
run(struct job *job)
{
	struct front_child *child = CONTAINER_OF(job, struct front_child, job);

	child->ops->run(child);
}

static void go_on(const struct front_api *api, const char *gateway_id);

static void
on_done(struct job *job)
{
	struct front_child *child = CONTAINER_OF(job, struct front_child, job);

	child->ops->answer(child);
	go_on(child->api, child->actor_id);
	child_free(child);
}

static bool
start(struct front_child *child)
{
	child->job = (struct job){ .run = run, .done = on_done, .owner = loop_owner(child->loop) };
	return !child->api->is_stopping && pool_try(child->api->questions, &child->job);
}

static void
on_crowded(struct post *post)
{
	struct front_child *child = CONTAINER_OF(post, struct front_child, post);

	front_fail(child->req, 503, "ServiceUnavailable", "too many questions are on their way; try again");
	go_on(child->api, child->actor_id);
	child_free(child);
}

/* The next one of this gateway, which lives on a loop of its own. */
static void
go_on(const struct front_api *api, const char *gateway_id)
{
	struct front_turn *turn = front_turns_end(api->turns, gateway_id);
	struct front_child *next = turn ? CONTAINER_OF(turn, struct front_child, turn) : NULL;

	if (!next || start(next))
		return;
	next->post.run = on_crowded;
	loop_post(next->loop, &next->post);
}

static bool
submit(struct front_child *child)
{
	struct conn *conn = http_conn(child->req);
	enum front_turns_answer answer = FRONT_TURN_TOO_MANY;

	if (conn) {
		child->loop = conn_loop(conn);
		answer = front_turns_take(child->api->turns, child->actor_id, &child->turn);
	}
	if (answer == FRONT_TURN_LATER || (answer == FRONT_TURN_NOW && start(child)))
		return true;
	if (answer == FRONT_TURN_NOW)
		go_on(child->api, child->actor_id);
	front_fail_for_now(child->req, TOO_MANY_S, "too many questions are on their way; try again");
	return false;
}

/* -- Who asks ------------------------------------------------------------------------------------------------------------------------------ */

/* A no to a gateway's $edgeHub is about itself, 401: 403 it would take for one about the device, and forget that. */
static bool
check_gateway(struct front_child *child)
{
	if (scope_is_gateway_below(child->api->scope, child->actor_id)) {
		child->hears = !child->is_device && http_header(child->req, HUB_WORD_HEADER);
		if (child->hears)
			hub_news_hears(child->api->news, child->actor_id);
		return true;
	}
	front_fail(child->req, child->is_device ? 403 : 401, "IotHubUnauthorizedAccess", "%s is no gateway below this one",
		child->actor_id);
	return false;
}

static void
on_admitted(struct http_request *req, void *domain, void *arg)
{
	struct front_child *child = arg;

	(void)req;
	if (!domain || !check_gateway(child) || !child->ops->read(child) || !submit(child))
		child_free(child);
}

static struct front_child *
child_new(const struct front_api *api, struct http_request *req, const char *const *ids, const struct front_child_ops *ops)
{
	struct front_child *child = NEW(front_child);

	child->api = api;
	child->req = req;
	child->actor_id = mem_text(ids[0]);
	child->ops = ops;
	return child;
}

void
front_child_take(const struct front_api *api, struct http_request *req, const char *const *ids, const struct front_child_ops *ops)
{
	struct front_child *child;

	if (!text_is(ids[1], ON_BEHALF_MODULE)) {
		front_fail(req, 401, "IotHubUnauthorizedAccess", "only " ON_BEHALF_MODULE " may ask for others");
		return;
	}
	child = child_new(api, req, ids, ops);
	http_head_admit(api->devices, req, child->actor_id, ON_BEHALF_MODULE, on_admitted, child);
}

void
front_child_take_device(
	const struct front_api *api, struct http_request *req, const char *const *ids, const struct front_child_ops *ops)
{
	struct front_child *child = child_new(api, req, ids, ops);

	child->is_device = true;
	child->device_id = mem_text(ids[0]);
	http_head_admit(api->devices, req, child->actor_id, NULL, on_admitted, child);
}

/* -- What is asked ------------------------------------------------------------------------------------------------------------------------- */

/* The device of a chain's first element, which may be a module of it. */
static char *
head_of(const char *chain)
{
	struct slice rest = slice_of(chain), head, device;

	slice_cut(&rest, ';', &head);
	slice_cut(&head, '/', &device);
	return slice_text(device);
}

bool
front_child_read_chain(struct front_child *child)
{
	struct err err = ERR_INIT;
	const char *chain = NULL;
	OWN_TEXT last = NULL;
	size_t len;
	const char *text = http_body(child->req, &len);

	child->body = json_parse(text, len, &err);
	if (!child->body || json_get_text(child->body, "authChain", &chain, &err) < 0) {
		front_fail(child->req, 400, "ArgumentInvalid", "%s", err.text);
		return false;
	}
	last = on_behalf_actor_id(chain);
	child->device_id = head_of(chain);
	if (!text_is(last, child->actor_id))
		front_fail(child->req, 401, "IotHubUnauthorizedAccess", "the authChain does not end with who asks");
	else if (!identity_id_is_valid(child->device_id))
		front_fail(child->req, 400, "ArgumentInvalid", "the authChain does not begin with a device");
	else
		return true;
	return false;
}

bool
front_child_check_below(struct front_child *child)
{
	if (scope_is_below(child->api->scope, child->device_id, child->actor_id))
		return true;
	front_fail(child->req, 403, "IotHubUnauthorizedAccess", "%s is not below %s", child->device_id, child->actor_id);
	return false;
}
