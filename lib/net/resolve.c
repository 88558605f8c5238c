/* SPDX-License-Identifier: Apache-2.0 */
/* Names are looked up on a few threads of their own, since getaddrinfo blocks, for many seconds when a name server is away.  Nobody waits for them at the end: a look-up outlives
 * its loop, which is why it reaches that through a list under a lock. */
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "net/conn_inside.h"
#include "net/resolve.h"

#define RESOLVERS 2
#define LOOKUPS_MAX 1024

struct lookup {
	struct job job;
	struct owner owner; /* stands between the worker and the loop */
	struct loop *loop;  /* NULL: gone */
	struct lookup *next;
	uint64_t conn_id;
	char *host;
	int port, error;
	struct addrinfo *found;
};

static struct pool *resolvers;
static struct lookup *lookups;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_resolvers(void)
{
	resolvers = pool_new("resolve", RESOLVERS, LOOKUPS_MAX);
}

static void
free_lookup(struct lookup *l)
{
	if (l->found)
		freeaddrinfo(l->found);
	mem_free(l->host);
	mem_free(l);
}

static void
unlink_lookup(struct lookup *l)
{
	struct lookup **at = &lookups;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
}

static struct addrinfo *
ask(const char *host, int port, int flags, int *error)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV }, *found = NULL;
	char service[16];

	snprintf(service, sizeof(service), "%d", port);
	*error = getaddrinfo(host, service, &hints, &found);
	return *error == 0 ? found : NULL;
}

struct addrinfo *
resolve_literal(const char *host, int port)
{
	int error;

	return ask(host, port, AI_NUMERICHOST, &error);
}

static void
run(struct job *job)
{
	struct lookup *l = CONTAINER_OF(job, struct lookup, job);

	l->found = ask(l->host, l->port, AI_ADDRCONFIG, &l->error);
}

static void
done(struct job *job)
{
	struct lookup *l = CONTAINER_OF(job, struct lookup, job);
	struct conn *conn;

	pthread_mutex_lock(&lock);
	unlink_lookup(l);
	pthread_mutex_unlock(&lock);
	conn = l->loop ? conn_find(l->loop, l->conn_id) : NULL;
	if (conn)
		conn_resolved(conn, GIVE(l->found), l->error);
	free_lookup(l);
}

/* From a worker: to the loop when it is still there. */
static void
hand_back(struct owner *owner, struct post *post)
{
	struct lookup *l = CONTAINER_OF(owner, struct lookup, owner);
	bool gone;

	pthread_mutex_lock(&lock);
	gone = !l->loop;
	if (gone)
		unlink_lookup(l);
	else
		loop_post(l->loop, post);
	pthread_mutex_unlock(&lock);
	if (gone)
		free_lookup(l);
}

int
resolve_start(struct conn *conn, const char *host, int port, struct err *err)
{
	struct lookup *l = NEW(lookup);

	pthread_once(&once, make_resolvers);
	l->owner.post = hand_back;
	l->job = (struct job){ .run = run, .done = done, .owner = &l->owner };
	l->loop = conn->loop;
	l->conn_id = conn->id;
	l->host = mem_text(host);
	l->port = port;
	pthread_mutex_lock(&lock);
	l->next = lookups;
	lookups = l;
	pthread_mutex_unlock(&lock);
	if (pool_try(resolvers, &l->job))
		return 0;
	pthread_mutex_lock(&lock);
	unlink_lookup(l);
	pthread_mutex_unlock(&lock);
	free_lookup(l);
	return err_set(err, ERR_LIMIT, "too many names are being looked up");
}

void
resolve_forget(struct loop *loop)
{
	pthread_mutex_lock(&lock);
	for (struct lookup *l = lookups; l; l = l->next)
		if (l->loop == loop)
			l->loop = NULL;
	pthread_mutex_unlock(&lock);
}
