/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of one identity are counted: the older one's end comes after the newer one's beginning. */
#include "gateway/edge_hub/client_list.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"

#define KEY_MAX 1024

struct client {
	char *name;
	size_t n_sessions;
	int64_t came, went; /* 0: never */
	bool is_changed;
};

struct client_list {
	pthread_mutex_t lock;
	struct map *clients; /* by name */
	json_t *removed;     /* keys of those who made place since the last look */
};

static void
client_free(struct client *c)
{
	mem_free(c->name);
	mem_free(c);
}

struct client_list *
client_list_new(void)
{
	struct client_list *l = NEW(client_list);

	pthread_mutex_init(&l->lock, NULL);
	l->clients = map_new();
	l->removed = json_object();
	return l;
}

void
client_list_free(struct client_list *l)
{
	size_t at = 0;
	void *client;

	if (!l)
		return;
	while (map_next(l->clients, &at, NULL, NULL, &client))
		client_free(client);
	map_free(l->clients);
	json_decref(l->removed);
	pthread_mutex_destroy(&l->lock);
	mem_free(l);
}

/* A twin's names may not have these, ids may: as the original writes them. */
static char *
key_of(const char *name)
{
	CLEAR(buf) key = BUF_INIT(KEY_MAX);

	for (; *name; name++)
		if (*name == '.' || *name == '$' || *name == '%')
			buf_putf(&key, "%%%02X", (unsigned)*name);
		else
			buf_putc(&key, *name);
	return buf_take_text(&key);
}

static void
put_key(json_t *object, const char *name, json_t *value_take)
{
	OWN_TEXT key = key_of(name);

	json_object_set_new(object, key, value_take);
}

/* -- Who is in it, with the lock ----------------------------------------------------------------------------------------------------------- */

static struct client *
find_gone_longest(struct client_list *l)
{
	struct client *oldest = NULL;
	size_t at = 0;
	void *value;

	while (map_next(l->clients, &at, NULL, NULL, &value)) {
		struct client *c = value;

		if (c->n_sessions == 0 && (!oldest || c->went < oldest->went))
			oldest = c;
	}
	return oldest;
}

static bool
make_place(struct client_list *l)
{
	struct client *c;

	if (map_count(l->clients) < CLIENT_LIST_MAX)
		return true;
	c = find_gone_longest(l);
	if (!c)
		return false;
	put_key(l->removed, c->name, json_null());
	map_remove_text(l->clients, c->name);
	client_free(c);
	return true;
}

static struct client *
need_client(struct client_list *l, const char *name)
{
	struct client *c = map_find_text(l->clients, name);

	if (c || !make_place(l))
		return c;
	c = NEW(client);
	c->name = mem_text(name);
	map_put_text(l->clients, name, c);
	return c;
}

void
client_list_came(struct client_list *l, const char *name, int64_t now)
{
	struct client *c;

	pthread_mutex_lock(&l->lock);
	c = need_client(l, name);
	if (c) {
		c->n_sessions++;
		c->came = now;
		c->is_changed = true;
	}
	pthread_mutex_unlock(&l->lock);
}

void
client_list_went(struct client_list *l, const char *name, int64_t now)
{
	struct client *c;

	pthread_mutex_lock(&l->lock);
	c = map_find_text(l->clients, name);
	if (c && c->n_sessions > 0 && --c->n_sessions == 0) {
		c->went = now;
		c->is_changed = true;
	}
	pthread_mutex_unlock(&l->lock);
}

/* -- What is reported ------------------------------------------------------------------------------------------------------------------------ */

static json_t *
client_json(const struct client *c)
{
	json_t *json = json_pack("{s:s}", "status", c->n_sessions > 0 ? "Connected" : "Disconnected");
	char when[CLOCK_TEXT_LEN];

	json_object_set_new(json, "lastConnectedTimeUtc", json_string(clock_text(c->came, when)));
	if (c->went > 0)
		json_object_set_new(json, "lastDisconnectedTimeUtc", json_string(clock_text(c->went, when)));
	return json;
}

json_t *
client_list_changes(struct client_list *l)
{
	json_t *changes;
	size_t at = 0;
	void *value;

	pthread_mutex_lock(&l->lock);
	changes = l->removed;
	l->removed = json_object();
	while (map_next(l->clients, &at, NULL, NULL, &value)) {
		struct client *c = value;

		if (c->is_changed)
			put_key(changes, c->name, client_json(c));
		c->is_changed = false;
	}
	pthread_mutex_unlock(&l->lock);
	if (json_object_size(changes) > 0)
		return json_pack("{s:o}", "clients", changes);
	json_decref(changes);
	return NULL;
}
