/* SPDX-License-Identifier: Apache-2.0 */
/* Keys by id.  Pairs in use stay in memory: reading one from PEM costs OpenSSL 3.0 as much as twenty signatures. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "common/id_file.h"
#include "keyd/key_store.h"

#define SECRET_LEN 32

struct key_store {
	char *dir;
	struct map *preloaded; /* id to path */
	struct map *pairs;     /* id to struct key */
	pthread_mutex_t lock;  /* everything: keys are made rarely */
};

struct key_store *
key_store_open(const char *dir, const json_t *preloaded, struct err *err)
{
	struct key_store *s;
	const char *id;
	json_t *path;

	if (file_make_dir(dir, 0700, err) < 0)
		return NULL;
	file_remove_leftovers(dir);
	s = NEW(key_store);
	s->dir = mem_text(dir);
	s->preloaded = map_new();
	s->pairs = map_new();
	pthread_mutex_init(&s->lock, NULL);
	json_object_foreach((json_t *)(uintptr_t)preloaded, id, path)
		if (json_is_string(path))
			mem_free(map_put_text(s->preloaded, id, mem_text(json_string_value(path))));
	return s;
}

void
key_store_close(struct key_store *s)
{
	size_t at = 0;
	void *value;

	if (!s)
		return;
	while (map_next(s->pairs, &at, NULL, NULL, &value))
		key_free(value);
	for (at = 0; map_next(s->preloaded, &at, NULL, NULL, &value);)
		mem_free(value);
	map_free(s->pairs);
	map_free(s->preloaded);
	pthread_mutex_destroy(&s->lock);
	mem_free(s->dir);
	mem_free(s);
}

static char *
path_of(const struct key_store *s, const char *id, struct err *err)
{
	const char *preloaded = map_find_text(s->preloaded, id);

	return preloaded ? mem_text(preloaded) : id_file_place(s->dir, id, ".key", err);
}

/* -- Pairs ------------------------------------------------------------------------------------------------------------------------------ */

static struct key *
load_pair(struct key_store *s, const char *id, struct err *err)
{
	struct key *key = map_find_text(s->pairs, id);
	OWN_TEXT path = NULL;

	if (key)
		return key_ref(key);
	path = path_of(s, id, err);
	key = path ? key_load(path, err) : NULL;
	if (key)
		map_put_text(s->pairs, id, key_ref(key));
	return key;
}

static struct key *
create_pair(struct key_store *s, const char *id, const char *algorithms, struct err *err)
{
	struct key *key = load_pair(s, id, err);
	OWN_TEXT path = NULL;

	if (key || err->kind != ERR_MISSING)
		return key;
	if (map_find_text(s->preloaded, id))
		return NULL; /* a preloaded key is where the operator said, or nowhere */
	path = path_of(s, id, err);
	key = path ? key_generate(key_alg_prefer(algorithms), err) : NULL;
	if (!key || key_save(key, path, err) < 0) {
		key_free(key);
		return NULL;
	}
	map_put_text(s->pairs, id, key_ref(key));
	return key;
}

struct key *
key_store_load_pair(struct key_store *s, const char *id, struct err *err)
{
	struct key *key;

	pthread_mutex_lock(&s->lock);
	key = load_pair(s, id, err);
	pthread_mutex_unlock(&s->lock);
	return key;
}

struct key *
key_store_create_pair(struct key_store *s, const char *id, const char *algorithms, struct err *err)
{
	struct key *key;

	pthread_mutex_lock(&s->lock);
	key = create_pair(s, id, algorithms, err);
	pthread_mutex_unlock(&s->lock);
	return key;
}

static void
forget_pair(struct key_store *s, const char *id)
{
	key_free(map_remove_text(s->pairs, id));
}

static int
move_pair(struct key_store *s, const char *from, const char *to, struct err *err)
{
	OWN(key) key = load_pair(s, from, err);
	OWN_TEXT from_path = path_of(s, from, err);
	OWN_TEXT to_path = path_of(s, to, err);

	if (!key || !from_path || !to_path)
		return -1;
	if (rename(from_path, to_path) < 0)
		return err_errno(err, "moving the key %s to %s", from, to);
	forget_pair(s, from);
	forget_pair(s, to);
	return file_sync_dir(s->dir, err);
}

int
key_store_move_pair(struct key_store *s, const char *from, const char *to, struct err *err)
{
	int status;

	pthread_mutex_lock(&s->lock);
	status = move_pair(s, from, to, err);
	pthread_mutex_unlock(&s->lock);
	return status;
}

/* -- Symmetric keys ------------------------------------------------------------------------------------------------------------------- */

static int
load_secret(struct key_store *s, const char *id, struct secret *out, struct err *err)
{
	OWN_TEXT path = path_of(s, id, err);
	struct buf bytes = BUF_INIT(SECRET_MAX);
	int status = path ? file_load(&bytes, path, err) : -1;

	if (status < 0 && err->kind == ERR_LIMIT) /* pairs and secrets share their names */
		err_set(err, ERR_INVALID, "the key %s is a key pair, or something else that is too large for a symmetric key", id);
	if (status < 0 && err->kind == ERR_DENIED)
		err->kind = ERR_BROKEN; /* we may not read what is ours: that is not about the caller */
	if (status == 0 && bytes.len == 0)
		status = err_set(err, ERR_BROKEN, "%s: an empty key", path);
	if (status == 0)
		secret_set(out, bytes.data, bytes.len);
	buf_wipe(&bytes);
	return status;
}

static int
save_secret(struct key_store *s, const char *id, const void *bytes, size_t len, struct err *err)
{
	OWN_TEXT path = path_of(s, id, err);

	return path ? file_save(path, bytes, len, 0600, err) : -1;
}

static int
create_secret(struct key_store *s, const char *id, struct secret *out, struct err *err)
{
	uint8_t bytes[SECRET_LEN];
	int status = load_secret(s, id, out, err);

	if (status == 0 || err->kind != ERR_MISSING || map_find_text(s->preloaded, id))
		return status;
	random_bytes(bytes, sizeof(bytes));
	status = save_secret(s, id, bytes, sizeof(bytes), err);
	if (status == 0)
		secret_set(out, bytes, sizeof(bytes));
	mem_wipe(bytes, sizeof(bytes));
	return status;
}

int
key_store_load_secret(struct key_store *s, const char *id, struct secret *out, struct err *err)
{
	int status;

	pthread_mutex_lock(&s->lock);
	status = load_secret(s, id, out, err);
	pthread_mutex_unlock(&s->lock);
	return status;
}

int
key_store_create_secret(struct key_store *s, const char *id, struct secret *out, struct err *err)
{
	int status;

	pthread_mutex_lock(&s->lock);
	status = create_secret(s, id, out, err);
	pthread_mutex_unlock(&s->lock);
	return status;
}

int
key_store_import_secret(struct key_store *s, const char *id, const void *bytes, size_t len, struct err *err)
{
	struct secret before = { 0 };
	int status;

	if (len == 0 || len > SECRET_MAX)
		return err_set(err, ERR_INVALID, "an imported key has 1 to %d bytes", SECRET_MAX);
	pthread_mutex_lock(&s->lock);
	status = load_secret(s, id, &before, err);
	if (status == 0 || err->kind == ERR_MISSING || err->kind == ERR_BROKEN) {
		*err = (struct err)ERR_INIT;
		status = save_secret(s, id, bytes, len, err);
	}
	pthread_mutex_unlock(&s->lock);
	secret_clear(&before);
	return status;
}

int
key_store_delete(struct key_store *s, const char *id, struct err *err)
{
	OWN_TEXT path = NULL;
	int status;

	pthread_mutex_lock(&s->lock);
	path = path_of(s, id, err);
	status = path ? file_remove(path, err) : -1;
	forget_pair(s, id);
	pthread_mutex_unlock(&s->lock);
	return status;
}
