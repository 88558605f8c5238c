/* SPDX-License-Identifier: Apache-2.0 */
/* A question at a time: the link asks again when an answer did not help it. */
#include "gateway/upstream/link_token.h"

#include "base/mem.h"

static void
make(struct job *job)
{
	struct link_token *t = CONTAINER_OF(job, struct link_token, job);

	t->err = (struct err)ERR_INIT;
	t->token = upstream_token(t->upstream, &t->expires, &t->err);
}

static void
again(struct link_token *t)
{
	bool is_wanted = t->is_wanted;

	t->is_stale = t->is_wanted = false;
	link_token_clear(t);
	if (is_wanted)
		link_token_ask(t, t->link);
}

static void
on_made(struct job *job)
{
	struct link_token *t = CONTAINER_OF(job, struct link_token, job);

	t->is_asked = false;
	if (t->is_stale) {
		again(t);
		return;
	}
	if (t->token)
		device_link_token(t->link, t->token, t->expires);
	else
		device_link_no_token(t->link, t->err.text);
	link_token_clear(t);
}

void
link_token_ask(struct link_token *t, struct device_link *link)
{
	if (t->is_asked) { /* its answer is on its way */
		t->is_wanted = t->is_stale;
		return;
	}
	t->link = link;
	t->job = (struct job){ .run = make, .done = on_made, .owner = loop_owner(t->loop) };
	t->is_asked = pool_try(t->workers, &t->job);
	if (!t->is_asked)
		device_link_no_token(link, "too much is going on at once");
}

void
link_token_forget(struct link_token *t)
{
	t->is_stale = t->is_asked;
	t->is_wanted = false;
}

void
link_token_clear(struct link_token *t)
{
	upstream_token_free(t->token);
	t->token = NULL;
}
