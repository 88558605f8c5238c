/* SPDX-License-Identifier: Apache-2.0 */
/* Who is connected: one holder an identity, the newest.  The holder is a connection on some loop, named by its number, because it may be gone by the time somebody wants it
 * closed; closing is posted to that loop. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "heads/head_inside.h"

#define N_SHARDS 64

struct holder {
	struct loop *loop;
	uint64_t conn_id;
	char name[];
};

struct shard {
	struct map *holders; /* by their names */
	pthread_mutex_t lock;
};

struct directory {
	struct shard shards[N_SHARDS];
	atomic_size_t count;
};

struct closing {
	struct post post;
	struct loop *loop;
	uint64_t conn_id;
	enum reason reason;
};

struct directory *
directory_new(void)
{
	struct directory *d = NEW(directory);

	for (size_t i = 0; i < N_SHARDS; i++) {
		d->shards[i].holders = map_new_keys_in_values();
		pthread_mutex_init(&d->shards[i].lock, NULL);
	}
	return d;
}

void
directory_free(struct directory *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < N_SHARDS; i++) {
		size_t at = 0;
		void *holder;

		while (map_next(d->shards[i].holders, &at, NULL, NULL, &holder))
			mem_free(holder);
		map_free(d->shards[i].holders);
		pthread_mutex_destroy(&d->shards[i].lock);
	}
	mem_free(d);
}

static struct shard *
shard_of(struct directory *d, const char *name)
{
	return &d->shards[map_hash(name, strlen(name)) % N_SHARDS];
}

static void
close_there(struct post *post)
{
	struct closing *c = CONTAINER_OF(post, struct closing, post);
	struct conn *conn = conn_find(c->loop, c->conn_id);

	if (conn)
		head_session_close(conn_user(conn), c->reason);
	mem_free(c);
}

static void
close_later(struct loop *loop, uint64_t conn_id, enum reason reason)
{
	struct closing *c = NEW(closing);

	c->post.run = close_there;
	c->loop = loop;
	c->conn_id = conn_id;
	c->reason = reason;
	loop_post(loop, &c->post);
}

static struct holder *
holder_new(const char *name, struct loop *loop, uint64_t conn_id)
{
	size_t size = strlen(name) + 1;
	struct holder *holder = mem_new(sizeof(*holder) + size);

	holder->loop = loop;
	holder->conn_id = conn_id;
	memcpy(holder->name, name, size);
	return holder;
}

struct directory_older
directory_claim(struct directory *d, const char *name, struct loop *loop, uint64_t conn_id)
{
	struct shard *shard = shard_of(d, name);
	struct holder *holder = holder_new(name, loop, conn_id), *before;
	struct directory_older older = { 0 };

	pthread_mutex_lock(&shard->lock);
	before = map_put_text(shard->holders, holder->name, holder);
	pthread_mutex_unlock(&shard->lock);
	if (before)
		older = (struct directory_older){ .loop = before->loop, .conn_id = before->conn_id };
	else
		d->count++;
	mem_free(before);
	return older;
}

void
directory_end_older(const struct directory_older *older)
{
	if (older->loop)
		close_later(older->loop, older->conn_id, SESSION_TAKEN_OVER);
}

void
directory_release(struct directory *d, const char *name, uint64_t conn_id)
{
	struct shard *shard = shard_of(d, name);
	struct holder *holder;

	pthread_mutex_lock(&shard->lock);
	holder = map_find_text(shard->holders, name);
	if (holder && holder->conn_id == conn_id)
		map_remove_text(shard->holders, name);
	else
		holder = NULL; /* somebody newer has it */
	pthread_mutex_unlock(&shard->lock);
	if (holder)
		d->count--;
	mem_free(holder);
}

void
directory_close(struct directory *d, const char *name, enum reason reason)
{
	struct shard *shard = shard_of(d, name);
	struct loop *loop = NULL;
	uint64_t conn_id = 0;
	struct holder *holder;

	pthread_mutex_lock(&shard->lock);
	holder = map_find_text(shard->holders, name);
	if (holder) {
		loop = holder->loop;
		conn_id = holder->conn_id;
	}
	pthread_mutex_unlock(&shard->lock);
	if (loop)
		close_later(loop, conn_id, reason);
}

static void
visit_there(struct post *post)
{
	struct directory_visit *visit = CONTAINER_OF(post, struct directory_visit, post);
	struct conn *conn = conn_find(visit->loop, visit->conn_id);

	visit->run(visit, conn ? conn_user(conn) : NULL);
}

bool
directory_visit(struct directory *d, const char *name, struct directory_visit *visit)
{
	struct shard *shard = shard_of(d, name);
	struct holder *holder;

	visit->post.run = visit_there;
	visit->loop = NULL;
	pthread_mutex_lock(&shard->lock);
	holder = map_find_text(shard->holders, name);
	if (holder) {
		visit->loop = holder->loop;
		visit->conn_id = holder->conn_id;
	}
	pthread_mutex_unlock(&shard->lock);
	if (!visit->loop)
		return false;
	loop_post(visit->loop, &visit->post);
	return true;
}

bool
directory_is_connected(struct directory *d, const char *name)
{
	struct shard *shard = shard_of(d, name);
	bool there;

	pthread_mutex_lock(&shard->lock);
	there = map_find_text(shard->holders, name) != NULL;
	pthread_mutex_unlock(&shard->lock);
	return there;
}

size_t
directory_count(struct directory *d)
{
	return d->count;
}

/* -- What a session can do, whatever its protocol ----------------------------------------------------------------------------------- */

struct conn *
head_session_conn(struct head_session *session)
{
	return session->conn;
}

void
head_session_close(struct head_session *session, enum reason reason)
{
	session->ops->close(session, reason);
}

void *
head_session_domain(struct head_session *session)
{
	return session->domain;
}

unsigned
head_session_wants(struct head_session *session)
{
	return session->ops->wants(session);
}

bool
head_session_desired(struct head_session *session, int64_t version, const void *patch, size_t len)
{
	return session->ops->desired(session, version, patch, len);
}

bool
head_session_method(struct head_session *session, const char *name, const char *rid, const void *payload, size_t len)
{
	return session->ops->method(session, name, rid, payload, len);
}

bool
head_session_deliver(struct head_session *session, const struct head_command *command)
{
	return session->ops->deliver(session, command);
}

void
head_session_forget(struct head_session *session, uint64_t command_id)
{
	session->ops->forget(session, command_id);
}
