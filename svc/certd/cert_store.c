/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates by id.
 *
 * Preloaded files belong to the operator, who replaces them while we run.  What is read from one is taken whole or not at all: as long as its content is broken, missing or out of
 * reach, the content that was good before stays in force, loudly (atk-08: an empty trust bundle must not come to mean "trust nothing" or "trust everything"). */
#include <pthread.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/cert_store.h"
#include "common/id_file.h"
#include "pki/cert.h"

#define CERT_FILE_MAX (1024 * 1024)
#define ISSUERS_MAX 16

struct changed {
	char *id;
	int (*change)(void *arg, const char *pem, struct buf *out, struct err *err);
	void *arg;
};

struct cert_store {
	char *dir;
	json_t *preloaded;
	struct changed *changed;
	size_t n_changed;
	pthread_t reader;
	bool has_reader;
	struct map *good; /* id to what its preloaded file had when it was last good */
	pthread_mutex_t good_lock;
	pthread_mutex_t read_lock; /* the following: what was read last, and what it was read from */
	struct certs read;
	char *read_text;
};

/* -- Preloaded files --------------------------------------------------------------------------------------------------------------------- */

static bool
is_good(struct cert_store *s, const char *id, const char *text)
{
	bool is;

	pthread_mutex_lock(&s->good_lock);
	is = text_is(map_find_text(s->good, id), text);
	pthread_mutex_unlock(&s->good_lock);
	return is;
}

/* What is as it was is not looked into again: that takes OpenSSL 3.0 a millisecond a certificate. */
static int
read_file(struct cert_store *s, const char *id, const char *path, char **text, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(CERT_FILE_MAX);
	CLEAR(certs) certs = { 0 };

	if (file_load(&pem, path, err) < 0)
		return -1;
	if (!is_good(s, id, buf_text(&pem)) && certs_parse(&certs, buf_text(&pem), pem.len, CERTS_MAX, err) < 0)
		return err_wrap(err, "%s", path);
	*text = buf_take_text(&pem);
	return 0;
}

static int
load_preloaded(struct cert_store *s, const char *id, const char *path, struct buf *pem, struct err *err)
{
	char *now = NULL, *before;
	int status = read_file(s, id, path, &now, err);

	pthread_mutex_lock(&s->good_lock);
	if (status == 0)
		mem_free(map_put_text(s->good, id, now));
	before = map_find_text(s->good, id);
	if (before) {
		buf_puts(pem, before);
		if (status < 0)
			log_error("%s can't be used, what was there before stays in force: %s", id, err->text);
	}
	pthread_mutex_unlock(&s->good_lock);
	return before ? 0 : -1;
}

/* Whoever asked meanwhile has read what is there now. */
static void
remember_first(struct cert_store *s, const char *id, char *text)
{
	pthread_mutex_lock(&s->good_lock);
	if (!map_find_text(s->good, id))
		text = map_put_text(s->good, id, text);
	pthread_mutex_unlock(&s->good_lock);
	mem_free(text);
}

/* Read all of them once, so that what is good now is remembered.  On a thread of its own: nobody has to wait for that. */
static void *
read_preloaded(void *arg)
{
	struct cert_store *s = arg;
	const char *id;
	json_t *path;

	json_object_foreach(s->preloaded, id, path) {
		struct err err = ERR_INIT;
		char *text;

		if (!json_is_string(path))
			continue;
		if (read_file(s, id, json_string_value(path), &text, &err) == 0)
			remember_first(s, id, text);
		else
			log_error("the certificate %s: %s", id, err.text);
	}
	return NULL;
}

/* -- The store ---------------------------------------------------------------------------------------------------------------------------- */

struct cert_store *
cert_store_open(const char *dir, const json_t *preloaded, struct err *err)
{
	struct cert_store *s;

	if (file_make_dir(dir, 0755, err) < 0)
		return NULL;
	file_remove_leftovers(dir);
	s = NEW(cert_store);
	s->dir = mem_text(dir);
	s->preloaded = preloaded ? json_deep_copy(preloaded) : json_object();
	s->good = map_new();
	pthread_mutex_init(&s->good_lock, NULL);
	pthread_mutex_init(&s->read_lock, NULL);
	s->has_reader = pthread_create(&s->reader, NULL, read_preloaded, s) == 0;
	if (!s->has_reader)
		read_preloaded(s);
	return s;
}

void
cert_store_close(struct cert_store *s)
{
	size_t at = 0;
	void *text;

	if (!s)
		return;
	if (s->has_reader)
		pthread_join(s->reader, NULL);
	while (map_next(s->good, &at, NULL, NULL, &text))
		mem_free(text);
	map_free(s->good);
	pthread_mutex_destroy(&s->good_lock);
	pthread_mutex_destroy(&s->read_lock);
	certs_clear(&s->read);
	mem_free(s->read_text);
	json_decref(s->preloaded);
	for (size_t i = 0; i < s->n_changed; i++)
		mem_free(s->changed[i].id);
	mem_free(s->changed);
	mem_free(s->dir);
	mem_free(s);
}

static char *
path_of(const struct cert_store *s, const char *id, struct err *err)
{
	const json_t *preloaded = json_object_get(s->preloaded, id);

	if (json_is_array(preloaded))
		return err_null(err, ERR_BROKEN, "%s is a list of other certificates and can't be written", id);
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
cert_store_load_given(struct cert_store *s, const char *id, struct buf *pem, struct err *err)
{
	const json_t *preloaded = json_object_get(s->preloaded, id);
	OWN_TEXT path = NULL;

	if (json_is_array(preloaded))
		return load_list(s, id, preloaded, pem, err);
	if (json_is_string(preloaded))
		return load_preloaded(s, id, json_string_value(preloaded), pem, err);
	path = path_of(s, id, err);
	if (!path)
		return -1;
	if (file_load(pem, path, err) == 0)
		return 0;
	if (err->kind != ERR_MISSING)
		err->kind = ERR_BROKEN; /* we can't read what is ours: that is not about the caller */
	return -1;
}

void
cert_store_change(struct cert_store *s, const char *id, int (*change)(void *arg, const char *pem, struct buf *out, struct err *err),
	void *arg)
{
	s->changed = mem_resize(s->changed, (s->n_changed + 1) * sizeof(struct changed));
	s->changed[s->n_changed++] = (struct changed){ mem_text(id), change, arg };
}

int
cert_store_load(struct cert_store *s, const char *id, struct buf *pem, struct err *err)
{
	for (size_t i = 0; i < s->n_changed; i++) {
		CLEAR(buf) given = BUF_INIT(CERT_FILE_MAX);

		if (!text_is(s->changed[i].id, id))
			continue;
		if (cert_store_load_given(s, id, &given, err) < 0)
			return -1;
		return s->changed[i].change(s->changed[i].arg, buf_text(&given), pem, err);
	}
	return cert_store_load_given(s, id, pem, err);
}

static bool
was_read(struct cert_store *s, const char *text, struct certs *out)
{
	bool was;

	pthread_mutex_lock(&s->read_lock);
	was = s->read_text && text_is(s->read_text, text);
	for (size_t i = 0; was && i < s->read.n; i++)
		certs_add(out, s->read.item[i]);
	pthread_mutex_unlock(&s->read_lock);
	return was;
}

static void
keep_read(struct cert_store *s, const char *text, const struct certs *certs)
{
	pthread_mutex_lock(&s->read_lock);
	mem_free(s->read_text);
	certs_clear(&s->read);
	s->read_text = mem_text(text);
	for (size_t i = 0; i < certs->n; i++)
		certs_add(&s->read, certs->item[i]);
	pthread_mutex_unlock(&s->read_lock);
}

/* The file is read each time, and turned into certificates only when it is another: that takes OpenSSL 3.0 longer than it takes to issue. */
int
cert_store_load_certs(struct cert_store *s, const char *id, struct certs *out, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(CERT_FILE_MAX);

	if (cert_store_load(s, id, &pem, err) < 0)
		return -1;
	if (was_read(s, buf_text(&pem), out))
		return 0;
	if (certs_parse(out, buf_text(&pem), pem.len, ISSUERS_MAX, err) < 0)
		return -1;
	keep_read(s, buf_text(&pem), out);
	return 0;
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
