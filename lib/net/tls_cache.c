/* SPDX-License-Identifier: Apache-2.0 */
/* TLS sessions that may be resumed: bounded, the least recently used go first; each bound to the identity that was let in with it, so that all of an identity's can be
 * dropped when its trust is withdrawn.  Shared by loops and by contexts: a renewed server certificate does not end anybody's session. */
#include <pthread.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "net/tls_inside.h"

#define SESSIONS_PER_IDENTITY 4 /* one device cannot push the others out */

struct entry {
	SSL_SESSION *session;
	struct entry *newer, *older; /* by use */
	struct entry *next_of_identity;
	char identity[];
};

struct tls_cache {
	struct map *by_id, *by_identity; /* their keys are in the entries */
	struct entry *newest, *oldest;
	size_t max_sessions;
	pthread_mutex_t lock;
};

struct tls_cache *
tls_cache_new(size_t max_sessions)
{
	struct tls_cache *cache = NEW(tls_cache);

	cache->by_id = map_new_keys_in_values();
	cache->by_identity = map_new_keys_in_values();
	cache->max_sessions = max_sessions;
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

static void
unlink_use(struct tls_cache *cache, struct entry *e)
{
	*(e->newer ? &e->newer->older : &cache->newest) = e->older;
	*(e->older ? &e->older->newer : &cache->oldest) = e->newer;
}

static void
link_newest(struct tls_cache *cache, struct entry *e)
{
	e->newer = NULL;
	e->older = cache->newest;
	*(cache->newest ? &cache->newest->newer : &cache->oldest) = e;
	cache->newest = e;
}

static void
unlink_identity(struct tls_cache *cache, struct entry *e)
{
	struct entry *first = map_find_text(cache->by_identity, e->identity);

	if (first == e) {
		if (e->next_of_identity)
			map_put_text(cache->by_identity, e->next_of_identity->identity, e->next_of_identity);
		else
			map_remove_text(cache->by_identity, e->identity);
		return;
	}
	while (first && first->next_of_identity != e)
		first = first->next_of_identity;
	if (first)
		first->next_of_identity = e->next_of_identity;
}

static void
forget(struct tls_cache *cache, struct entry *e)
{
	unsigned int len;
	const uint8_t *id = SSL_SESSION_get_id(e->session, &len);

	unlink_use(cache, e);
	unlink_identity(cache, e);
	map_remove(cache->by_id, id, len);
	SSL_SESSION_free(e->session);
	mem_free(e);
}

void
tls_cache_free(struct tls_cache *cache)
{
	if (!cache)
		return;
	while (cache->newest)
		forget(cache, cache->newest);
	map_free(cache->by_id);
	map_free(cache->by_identity);
	pthread_mutex_destroy(&cache->lock);
	mem_free(cache);
}

static void
limit_identity(struct tls_cache *cache, struct entry *newest)
{
	struct entry *oldest = newest;
	int n = 1;

	for (; oldest->next_of_identity; n++)
		oldest = oldest->next_of_identity;
	if (n > SESSIONS_PER_IDENTITY)
		forget(cache, oldest);
}

static struct entry *
entry_new(SSL_SESSION *session_take, const char *identity)
{
	size_t size = strlen(identity) + 1;
	struct entry *e = mem_new(sizeof(*e) + size);

	e->session = session_take;
	memcpy(e->identity, identity, size);
	return e;
}

void
tls_cache_put(struct tls_cache *cache, SSL_SESSION *session_take, const char *identity)
{
	struct entry *e = entry_new(session_take, identity), *before;
	unsigned int len;
	const uint8_t *id = SSL_SESSION_get_id(session_take, &len);

	pthread_mutex_lock(&cache->lock);
	before = map_find(cache->by_id, id, len);
	if (before)
		forget(cache, before);
	map_put(cache->by_id, id, len, e);
	e->next_of_identity = map_put_text(cache->by_identity, e->identity, e);
	link_newest(cache, e);
	limit_identity(cache, e);
	if (map_count(cache->by_id) > cache->max_sessions)
		forget(cache, cache->oldest);
	pthread_mutex_unlock(&cache->lock);
}

SSL_SESSION *
tls_cache_find(struct tls_cache *cache, const uint8_t *id, size_t len)
{
	SSL_SESSION *session = NULL;
	struct entry *e;

	pthread_mutex_lock(&cache->lock);
	e = map_find(cache->by_id, id, len);
	if (e) {
		unlink_use(cache, e);
		link_newest(cache, e);
		session = e->session;
		SSL_SESSION_up_ref(session);
	}
	pthread_mutex_unlock(&cache->lock);
	return session;
}

void
tls_cache_remove(struct tls_cache *cache, SSL_SESSION *session)
{
	unsigned int len;
	const uint8_t *id = SSL_SESSION_get_id(session, &len);
	struct entry *e;

	pthread_mutex_lock(&cache->lock);
	e = map_find(cache->by_id, id, len);
	if (e)
		forget(cache, e);
	pthread_mutex_unlock(&cache->lock);
}

void
tls_cache_drop_identity(struct tls_cache *cache, const char *identity)
{
	struct entry *e;

	pthread_mutex_lock(&cache->lock);
	while ((e = map_find_text(cache->by_identity, identity)))
		forget(cache, e);
	pthread_mutex_unlock(&cache->lock);
}
