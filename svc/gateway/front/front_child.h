/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A request of a gateway below this one about one of the devices below it (gateway 3.3, 6): let in as the $edgeHub of the path with its own token, its chain read and compared with the records, and
 * carried out on a worker where somebody above has to be asked. */

#include "gateway/front/front_route.h"

struct front_child {
	const struct front_api *api;
	struct http_request *req; /* NULL: answered */
	char *actor_id;		  /* who asks */
	bool is_device;		  /* the device itself asks, not its $edgeHub: about itself */
	bool hears;		  /* of the hub (hub_news.h) */
	char *device_id;	  /* about whom: at the head of the chain */
	json_t *body;		  /* NULL: there is none */
	const struct front_child_ops *ops;
	struct loop *loop; /* of the connection */
	struct front_turn turn;
	struct post post;
	struct job job;
	void *state; /* of the ops' */
};

struct front_child_ops {
	/* On the loop, once it is known who asks.  false: it has been answered. */
	bool (*read)(struct front_child *child);
	void (*run)(struct front_child *child);	   /* on a worker; may block */
	void (*answer)(struct front_child *child); /* on the loop, after that */
	void (*clear)(struct front_child *child);  /* its state; may be NULL */
};

/* The $edgeHub of ids[0]; ids[1] must say so. */
void front_child_take(
	const struct front_api *api, struct http_request *req, const char *const *ids, const struct front_child_ops *ops);
/* The edge device ids[0] itself, with its own credential, about its modules. */
void front_child_take_device(
	const struct front_api *api, struct http_request *req, const char *const *ids, const struct front_child_ops *ops);

/* For ops->read: the body with its "authChain", of which the first is kept as device_id and the last must be who asks.  false: answered. */
bool front_child_read_chain(struct front_child *child);
/* For ops->answer: is the device below who asks, by the records?  Whether all between are enabled is not asked: that would be no answer about the device.  false: answered. */
bool front_child_check_below(struct front_child *child);
