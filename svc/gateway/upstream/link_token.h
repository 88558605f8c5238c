/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The gateway's token for a connection of its own making: asked for on a worker, because it is signed elsewhere, and brought to the link on its loop. */

#include "base/pool.h"
#include "device/device_link.h"
#include "gateway/upstream/upstream.h"

struct link_token {
	struct upstream *upstream;
	struct pool *workers;
	struct loop *loop;
	struct device_link *link;
	struct job job;
	bool is_asked;
	bool is_stale, is_wanted; /* the one on its way is for nobody; another one is to follow it */
	char *token;
	int64_t expires;
	struct err err;
};

void link_token_ask(struct link_token *t, struct device_link *link); /* struct device_link_ops.ask_token */
void link_token_forget(struct link_token *t);			     /* whoever asked is gone: what is on its way is not brought */
void link_token_clear(struct link_token *t);			     /* once no job of its is on the pool */
