/* SPDX-License-Identifier: Apache-2.0 */
/* What was decided about the request is kept with the carrier, as the HTTP head keeps it with a connection (http_call.h). */
#include "heads/strand_door.h"

#include <pthread.h>

#include "auth/on_behalf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "heads/http_call.h"
#include "net/strand.h"
#include "wire/strand_frame.h"

#define LOOK_MS 60000  /* at the token's end at least this often: the wall clock may have been set */
#define CARRIERS_MAX 4 /* of a gateway */
#define UNANSWERED_MAX 256

struct strand_door {
	struct strand_door_config config;
	pthread_mutex_t lock; /* of the list */
	struct carried *first;
};

/* A carrier, on its loop; others may see in the list which it is. */
struct carried {
	struct strand_door *door;
	struct carried *next, **link;
	char *gateway_id;
	struct http_device *device; /* what was decided */
	void (*release)(void *device);
	struct loop *loop;
	uint64_t conn_id;
	struct conn_carrier *carrier;
	struct timer timer;
	bool is_surplus; /* under the door's lock: newer ones have come */
};

/* -- Does it still stand? ----------------------------------------------------------------------------------------------------------------- */

static bool
stands(const struct carried *c)
{
	const struct http_head_config *head = &c->device->head->config;

	return head->ops->stands(head->backend, c->device->base.domain) &&
	       c->door->config.may_carry(c->door->config.arg, c->gateway_id);
}

static void
withdraw(struct carried *c)
{
	const struct http_head_config *head = &c->device->head->config;

	if (head->ops->violation)
		head->ops->violation(head->backend, c->device->name, SESSION_WITHDRAWN, "the connection that carries its devices");
	conn_abort(conn_carrier_conn(c->carrier), reason_row(SESSION_WITHDRAWN)->sentence);
}

static void
look(struct carried *c)
{
	int64_t left_ms = c->device->expires > 0 ? c->device->expires * 1000 - clock_wall_ms() : LOOK_MS;
	int64_t most_ms = clock_look_ms() < LOOK_MS ? clock_look_ms() : LOOK_MS;

	if (!stands(c)) {
		withdraw(c);
		return;
	}
	if (left_ms <= 0)
		conn_carrier_retire(c->carrier);
	timer_arm(&c->timer, left_ms > 0 && left_ms < most_ms ? left_ms : most_ms);
}

static void
on_timer(struct timer *timer)
{
	look(CONTAINER_OF(timer, struct carried, timer));
}

static bool
may_accept(struct conn_carrier *carrier, void *arg)
{
	struct carried *c = arg;

	if (c->door->config.max_strands > 0 && conn_carrier_count(carrier) >= c->door->config.max_strands)
		return false;
	if (stands(c))
		return c->device->expires == 0 || clock_wall() < c->device->expires;
	withdraw(c);
	return false;
}

/* -- The list ----------------------------------------------------------------------------------------------------------------------------- */

struct recheck {
	struct post post;
	struct strand_door *door;
	struct loop *loop;
	uint64_t conn_id;
};

static void on_recheck(struct post *post);

static void
ask_to_look(const struct carried *c)
{
	struct recheck *r = NEW(recheck);

	*r = (struct recheck){ .post.run = on_recheck, .door = c->door, .loop = c->loop, .conn_id = c->conn_id };
	loop_post(c->loop, &r->post);
}

/* The newest are first in the list. */
static void
end_oldest(struct strand_door *door, const char *gateway_id)
{
	int n = 0;

	for (struct carried *c = door->first; c; c = c->next) {
		if (c->is_surplus || !text_is(c->gateway_id, gateway_id) || ++n <= CARRIERS_MAX)
			continue;
		c->is_surplus = true;
		ask_to_look(c);
	}
}

static void
enter(struct carried *c)
{
	struct strand_door *door = c->door;

	pthread_mutex_lock(&door->lock);
	c->next = door->first;
	c->link = &door->first;
	if (c->next)
		c->next->link = &c->next;
	door->first = c;
	end_oldest(door, c->gateway_id);
	pthread_mutex_unlock(&door->lock);
}

static void
leave(struct carried *c)
{
	pthread_mutex_lock(&c->door->lock);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	pthread_mutex_unlock(&c->door->lock);
}

/* Only this loop ends it. */
static struct carried *
find(const struct recheck *r)
{
	struct carried *c;

	pthread_mutex_lock(&r->door->lock);
	for (c = r->door->first; c && (c->loop != r->loop || c->conn_id != r->conn_id);)
		c = c->next;
	pthread_mutex_unlock(&r->door->lock);
	return c && conn_find(r->loop, r->conn_id) ? c : NULL;
}

static bool
is_surplus(const struct carried *c)
{
	bool is;

	pthread_mutex_lock(&c->door->lock);
	is = c->is_surplus;
	pthread_mutex_unlock(&c->door->lock);
	return is;
}

static void
on_recheck(struct post *post)
{
	struct recheck *r = CONTAINER_OF(post, struct recheck, post);
	struct carried *c = find(r);

	if (c && is_surplus(c))
		conn_abort(conn_carrier_conn(c->carrier), "its gateway has opened further ones");
	else if (c && !stands(c))
		withdraw(c);
	mem_free(r);
}

void
strand_door_recheck(struct strand_door *door, const char *gateway_id)
{
	if (!door)
		return;
	pthread_mutex_lock(&door->lock);
	for (const struct carried *c = door->first; c; c = c->next)
		if (text_is(c->gateway_id, gateway_id))
			ask_to_look(c);
	pthread_mutex_unlock(&door->lock);
}

/* -- A carrier's life ------------------------------------------------------------------------------------------------------------------- */

static void
carried_free(struct carried *c)
{
	if (c->device)
		c->release(c->device);
	mem_free(c->gateway_id);
	mem_free(c);
}

static void
on_end(struct conn_carrier *carrier, void *arg, const char *why)
{
	struct carried *c = arg;

	(void)carrier;
	(void)why;
	timer_cancel(&c->timer);
	leave(c);
	carried_free(c);
}

static void
begin(struct carried *c, struct conn *conn)
{
	struct conn_carrier_config config = {
		.ops = mqtt_head_ops(),
		.on_accept = mqtt_head_on_accept,
		.user = c->door->config.mqtt,
		.may_accept = may_accept,
		.on_end = on_end,
		.arg = c,
		.max_unanswered = UNANSWERED_MAX,
	};

	c->loop = conn_loop(conn);
	c->conn_id = conn_id(conn);
	c->carrier = conn_carrier_begin(conn, &config);
	timer_init(&c->timer, c->loop, on_timer);
	enter(c);
	look(c); /* what changed before it stood in the list told nobody */
}

static void
go_over(struct carried *c, struct http_request *req)
{
	static const char *const headers[] = { "Upgrade: " STRAND_PROTOCOL, "Connection: Upgrade", NULL };
	struct conn *conn;

	c->device = http_take_kept(req, &c->release);
	conn = c->device ? http_switch(req, headers) : NULL;
	if (conn)
		begin(c, conn);
	else
		carried_free(c);
}

static void
on_admitted(struct http_request *req, void *domain, void *arg)
{
	struct carried *c = arg;

	if (domain && c->door->config.may_carry(c->door->config.arg, c->gateway_id)) {
		go_over(c, req);
		return;
	}
	if (domain)
		c->door->config.forbid(req, "only a gateway speaks for others");
	carried_free(c);
}

bool
strand_door_serve(struct strand_door *door, struct http_request *req)
{
	const char *ids[2];
	struct carried *c;

	if (!door || !text_is(http_method(req), "GET") || !http_path_fits(req, "devices/*/modules/*/strands", ids, COUNT(ids)) ||
		!text_is(ids[1], ON_BEHALF_MODULE) || !http_wants_upgrade(req, STRAND_PROTOCOL))
		return false;
	c = NEW(carried);
	c->door = door;
	c->gateway_id = mem_text(ids[0]);
	http_head_admit(door->config.devices, req, c->gateway_id, ON_BEHALF_MODULE, on_admitted, c);
	return true;
}

struct strand_door *
strand_door_new(const struct strand_door_config *config)
{
	struct strand_door *door = NEW(strand_door);

	door->config = *config;
	pthread_mutex_init(&door->lock, NULL);
	return door;
}

void
strand_door_free(struct strand_door *door)
{
	if (!door)
		return;
	pthread_mutex_destroy(&door->lock);
	mem_free(door);
}
