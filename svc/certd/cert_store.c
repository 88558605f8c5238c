/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates by id. */
#include <pthread.h>
#include <string.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "certd/cert_store.h"
#include "common/id_file.h"

#define CERT_FILE_MAX (1024 * 1024)
#define N_LOCKS 64 /* ids share locks by their hash */

struct cert_store {
	char *dir;
	json_t *preloaded;
	pthread_mutex_t locks[N_LOCKS];
};

struct cert_store *
cert_store_open(const char *dir, const json_t *preloaded, struct err *err)
{
	struct cert_store *s;

	if (file_make_dir(dir, 0755, err) < 0)
		return NULL;
	s = NEW(cert_store);
	s->dir = mem_text(dir);
	s->preloaded = preloaded ? json_deep_copy(preloaded) : json_object();
	for (size_t i = 0; i < N_LOCKS; i++)
		pthread_mutex_init(&s->locks[i], NULL);
	return s;
}

void
cert_store_close(struct cert_store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < N_LOCKS; i++)
		pthread_mutex_destroy(&s->locks[i]);
	json_decref(s->preloaded);
	mem_free(s->dir);
	mem_free(s);
}

static char *
path_of(const struct cert_store *s, const char *id, struct err *err)
{
	const json_t *preloaded = json_object_get(s->preloaded, id);

	if (json_is_array(preloaded))
		return err_null(err, ERR_INVALID, "%s is a list of other certificates and can't be written", id);
	if (json_is_string(preloaded))
		return mem_text(json_string_value(preloaded));
	return id_file_place(s->dir, id, ".cer", err);
}

/* A list: what its members have, one after the other; those that are not there are left out. */
static int
load_list(struct cert_store *s, const char *id, const json_t *list, struct buf *pem, struct err *err)
{
	size_t before = pem->len, i;
	json_t *member;

	json_array_foreach((json_t *)(uintptr_t)list, i, member) {
		struct err absent = ERR_INIT;

		if (!json_is_string(member) || json_is_array(json_object_get(s->preloaded, json_string_value(member))))
			continue;
		if (cert_store_load(s, json_string_value(member), pem, &absent) < 0) {
			if (absent.kind != ERR_MISSING)
				return err_set(err, absent.kind, "%s", absent.text);
			continue;
		}
		if (pem->len > 0 && pem->data[pem->len - 1] != '\n')
			buf_putc(pem, '\n');
	}
	return pem->len > before ? 0 : err_set(err, ERR_MISSING, "certificate \"%s\" not found", id);
}

int
cert_store_load(struct cert_store *s, const char *id, struct buf *pem, struct err *err)
{
	const json_t *preloaded = json_object_get(s->preloaded, id);
	OWN_TEXT path = NULL;

	if (json_is_array(preloaded))
		return load_list(s, id, preloaded, pem, err);
	path = path_of(s, id, err);
	return path ? file_load(pem, path, err) : -1;
}

int
cert_store_save(struct cert_store *s, const char *id, const char *pem, size_t len, struct err *err)
{
	OWN_TEXT path = path_of(s, id, err);

	if (!path)
		return -1;
	if (len > CERT_FILE_MAX)
		return err_set(err, ERR_LIMIT, "a certificate of %zu bytes", len);
	return file_save(path, pem, len, 0644, err);
}

int
cert_store_delete(struct cert_store *s, const char *id, struct err *err)
{
	OWN_TEXT path = path_of(s, id, err);

	return path ? file_remove(path, err) : -1;
}

static pthread_mutex_t *
lock_of(struct cert_store *s, const char *id)
{
	return &s->locks[map_hash(id, strlen(id)) % N_LOCKS];
}

void
cert_store_lock(struct cert_store *s, const char *id)
{
	pthread_mutex_lock(lock_of(s, id));
}

void
cert_store_unlock(struct cert_store *s, const char *id)
{
	pthread_mutex_unlock(lock_of(s, id));
}
