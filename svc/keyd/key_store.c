/* SPDX-License-Identifier: Apache-2.0 */
/* Keys by id.  Pairs in use stay in memory: reading one from PEM costs OpenSSL 3.0 as much as twenty signatures.
 *
 * Making an RSA key takes seconds in some tokens, so the lock is held for a look at the maps only; an id on which somebody works is claimed. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "common/id_file.h"
#include "keyd/key_files.h"
#include "keyd/key_store.h"
#include "wire/tss_key.h"

/* Where the operator says. */
struct preloaded {
	char *path;
	struct pkcs11_uri *uri; /* or: */
	uint32_t tpm_handle;	/* or: */
};

struct key_store {
	char *dir;
	struct pkcs11 *pkcs11;
	struct pkcs11_uri *base; /* or NULL */
	struct key_files files;
	struct map *preloaded; /* id to struct preloaded, as it is for good */
	pthread_mutex_t lock;  /* the following */
	pthread_cond_t released;
	struct map *claimed; /* ids */
	struct map *pairs;   /* id to struct key */
};

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------ */

static int
take_preloaded(struct key_store *s, const char *id, const char *place, struct err *err)
{
	struct preloaded *p = NEW(preloaded);

	map_put_text(s->preloaded, id, p);
	if (pkcs11_uri_is(place)) {
		p->uri = pkcs11_uri_parse(place, err);
		return p->uri ? 0 : err_wrap(err, "the preloaded key %.100s", id);
	}
	if (tss_key_is_uri(place))
		return tss_key_parse_uri(place, &p->tpm_handle, err) < 0 ? err_wrap(err, "the preloaded key %.100s", id) : 0;
	p->path = mem_text(place);
	return 0;
}

static int
take_config(struct key_store *s, const struct key_store_config *config, struct err *err)
{
	const char *id;
	json_t *place;

	s->pkcs11 = pkcs11_new(config->pkcs11_module);
	s->files.tpm = tpm_new(config->tpm_tcti, config->tpm_owner_auth.len > 0 ? &config->tpm_owner_auth : NULL);
	s->files.make_in_tpm = config->tpm_base;
	if (config->tpm_base && config->pkcs11_base)
		return err_set(err, ERR_INVALID, "new keys are made in one place: either pkcs11_base_slot or tpm_base");
	if (config->pkcs11_base) {
		s->base = pkcs11_uri_parse(config->pkcs11_base, err);
		if (!s->base)
			return err_wrap(err, "pkcs11_base_slot");
	}
	json_object_foreach((json_t *)(uintptr_t)config->preloaded, id, place)
		if (json_is_string(place) && take_preloaded(s, id, json_string_value(place), err) < 0)
			return -1;
	return 0;
}

struct key_store *
key_store_open(const struct key_store_config *config, struct err *err)
{
	struct key_store *s;

	if (file_make_dir(config->dir, 0700, err) < 0)
		return NULL;
	file_remove_leftovers(config->dir);
	s = NEW(key_store);
	s->dir = mem_text(config->dir);
	s->preloaded = map_new();
	s->pairs = map_new();
	s->claimed = map_new();
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->released, NULL);
	if (take_config(s, config, err) < 0) {
		key_store_close(s);
		return NULL;
	}
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
	for (at = 0; map_next(s->preloaded, &at, NULL, NULL, &value);) {
		struct preloaded *p = value;

		mem_free(p->path);
		pkcs11_uri_free(p->uri);
		mem_free(p);
	}
	map_free(s->pairs);
	map_free(s->preloaded);
	map_free(s->claimed);
	pkcs11_uri_free(s->base);
	pkcs11_free(s->pkcs11);
	tpm_free(s->files.tpm);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->released);
	mem_free(s->dir);
	mem_free(s);
}

/* -- One at a time for each id --------------------------------------------------------------------------------------------------------- */

/* b may be NULL.  Both at once, so that nobody waits for one with the other in hand. */
static void
claim(struct key_store *s, const char *a, const char *b)
{
	pthread_mutex_lock(&s->lock);
	while (map_find_text(s->claimed, a) || (b && map_find_text(s->claimed, b)))
		pthread_cond_wait(&s->released, &s->lock);
	map_put_text(s->claimed, a, s);
	if (b)
		map_put_text(s->claimed, b, s);
	pthread_mutex_unlock(&s->lock);
}

static void
release(struct key_store *s, const char *a, const char *b)
{
	pthread_mutex_lock(&s->lock);
	map_remove_text(s->claimed, a);
	if (b)
		map_remove_text(s->claimed, b);
	pthread_cond_broadcast(&s->released);
	pthread_mutex_unlock(&s->lock);
}

static struct key *
find_in_memory(struct key_store *s, const char *id)
{
	struct key *key;

	pthread_mutex_lock(&s->lock);
	key = key_ref(map_find_text(s->pairs, id));
	pthread_mutex_unlock(&s->lock);
	return key;
}

static void
keep_in_memory(struct key_store *s, const char *id, struct key *key)
{
	pthread_mutex_lock(&s->lock);
	key_free(map_put_text(s->pairs, id, key_ref(key)));
	pthread_mutex_unlock(&s->lock);
}

static void
forget(struct key_store *s, const char *id)
{
	pthread_mutex_lock(&s->lock);
	key_free(map_remove_text(s->pairs, id));
	pthread_mutex_unlock(&s->lock);
}

/* -- Places --------------------------------------------------------------------------------------------------------------------------------- */

/* Where an id is looked for: in a token, then in a file.  It is made in the first of them. */
struct place {
	const struct pkcs11_uri *token; /* or NULL */
	char *path;			/* or NULL */
	uint32_t tpm_handle;		/* instead of both, or 0 */
	bool is_preloaded;
	struct pkcs11_uri *own_uri;
};

static void
place_clear(struct place *place)
{
	pkcs11_uri_free(place->own_uri);
	mem_free(place->path);
}

static int
find_place(const struct key_store *s, const char *id, struct place *out, struct err *err)
{
	const struct preloaded *p = map_find_text(s->preloaded, id);

	if (p) {
		*out = (struct place){
			.token = p->uri, .path = mem_text(p->path), .tpm_handle = p->tpm_handle, .is_preloaded = true
		};
		return 0;
	}
	out->path = id_file_place(s->dir, id, ".key", err);
	if (!out->path)
		return -1;
	if (s->base)
		out->token = out->own_uri = pkcs11_uri_with_object(s->base, id);
	return 0;
}

/* The token was asked and has it not: is there another place to look? */
static bool
goes_on(const struct place *place, struct err *err)
{
	if (err->kind != ERR_MISSING || !place->path)
		return false;
	*err = (struct err)ERR_INIT;
	return true;
}

/* May the id be made, now that it is in none of its places? */
static bool
may_make(const struct place *place, struct err *err)
{
	if (err->kind != ERR_MISSING || place->is_preloaded)
		return false;
	*err = (struct err)ERR_INIT;
	return true;
}

/* In whatever words its last place has it: where that is, is nobody's business. */
static void
tell_missing(const struct place *place, struct err *err)
{
	if (err->kind == ERR_MISSING && !place->is_preloaded)
		(void)err_set(err, ERR_MISSING, "key not found");
}

/* -- Pairs ---------------------------------------------------------------------------------------------------------------------------------- */

static struct key *
load_pair(struct key_store *s, const struct place *place, struct err *err)
{
	struct key *key = NULL;

	if (place->tpm_handle)
		return tpm_load_persistent(s->files.tpm, place->tpm_handle, err);
	if (place->token) {
		key = pkcs11_load_pair(s->pkcs11, place->token, err);
		if (key || !goes_on(place, err))
			return key;
	}
	return key_files_load_pair(&s->files, place->path, err);
}

static struct key *
make_pair(struct key_store *s, const struct place *place, const char *algorithms, struct err *err)
{
	return place->token ? pkcs11_make_pair(s->pkcs11, place->token, algorithms, err)
			    : key_files_make_pair(&s->files, place->path, algorithms, err);
}

/* What is in a token is asked for there: another program may have deleted it.  algorithms: NULL to load only. */
static struct key *
find_or_make_pair(struct key_store *s, const char *id, const char *algorithms, struct err *err)
{
	CLEAR(place) place = { 0 };
	struct key *key;

	if (find_place(s, id, &place, err) < 0)
		return NULL;
	claim(s, id, NULL);
	key = place.token ? NULL : find_in_memory(s, id);
	if (!key)
		key = load_pair(s, &place, err);
	if (!key && algorithms && may_make(&place, err))
		key = make_pair(s, &place, algorithms, err);
	if (key) {
		keep_in_memory(s, id, key);
	} else {
		forget(s, id);
		tell_missing(&place, err);
	}
	release(s, id, NULL);
	return key;
}

struct key *
key_store_load_pair(struct key_store *s, const char *id, struct err *err)
{
	return find_or_make_pair(s, id, NULL, err);
}

struct key *
key_store_use_pair(struct key_store *s, const char *id, struct err *err)
{
	struct key *key = find_in_memory(s, id);

	return key ? key : find_or_make_pair(s, id, NULL, err);
}

struct key *
key_store_create_pair(struct key_store *s, const char *id, const char *algorithms, struct err *err)
{
	return find_or_make_pair(s, id, algorithms, err);
}

/* 1: in its token; 0: not there, or it has none. */
static int
is_in_token(struct key_store *s, const struct place *place, struct err *err)
{
	OWN(key) key = place->token ? pkcs11_load_pair(s->pkcs11, place->token, err) : NULL;

	if (key || !place->token)
		return key != NULL;
	return goes_on(place, err) ? 0 : -1;
}

static int
move_file(struct key_store *s, const struct place *from, const struct place *to, struct err *err)
{
	if (rename(from->path, to->path) < 0)
		return err_errno(err, "moving %s to %s", from->path, to->path);
	return file_sync_dir(s->dir, err);
}

/* What lies in a file under the new name would come to light when the pair in the token is deleted. */
static int
move_in_token(struct key_store *s, const struct place *from, const struct place *to, const char *to_id, struct err *err)
{
	return pkcs11_move_pair(s->pkcs11, from->token, to_id, err) < 0 ? -1 : file_remove(to->path, err);
}

static int
move_pair(struct key_store *s, const struct place *from, const struct place *to, const char *to_id, struct err *err)
{
	int here, there;

	if (!from->path || !to->path)
		return err_set(err, ERR_INVALID, "a key stays in the token or TPM where the configuration says that it is");
	here = is_in_token(s, from, err);
	there = here < 0 ? -1 : is_in_token(s, to, err);
	if (there < 0)
		return -1;
	if (here && to->token)
		return move_in_token(s, from, to, to_id, err);
	if (here || there)
		return err_set(err, ERR_INVALID, "a key is not moved between a token and a file");
	return move_file(s, from, to, err);
}

int
key_store_move_pair(struct key_store *s, const char *from, const char *to, struct err *err)
{
	CLEAR(place) from_place = { 0 };
	CLEAR(place) to_place = { 0 };
	OWN(key) key = NULL;
	int status;

	if (find_place(s, from, &from_place, err) < 0 || find_place(s, to, &to_place, err) < 0)
		return -1;
	claim(s, from, to);
	key = load_pair(s, &from_place, err);
	status = key ? move_pair(s, &from_place, &to_place, to, err) : -1;
	if (!key)
		tell_missing(&from_place, err);
	forget(s, from);
	forget(s, to);
	release(s, from, to);
	return status;
}

static int
delete_pair(struct key_store *s, const struct place *place, struct err *err)
{
	int n = place->tpm_handle ? err_set(err, ERR_INVALID, "a key stays in the TPM where the configuration says that it is")
				  : is_in_token(s, place, err);

	if (n < 0)
		return -1;
	return n > 0 ? pkcs11_delete_pair(s->pkcs11, place->token, err) : place->path ? file_remove(place->path, err) : 0;
}

int
key_store_delete_pair(struct key_store *s, const char *id, struct err *err)
{
	CLEAR(place) place = { 0 };
	int status;

	if (find_place(s, id, &place, err) < 0)
		return -1;
	claim(s, id, NULL);
	status = delete_pair(s, &place, err);
	forget(s, id);
	release(s, id, NULL);
	return status;
}

/* -- Symmetric keys ----------------------------------------------------------------------------------------------------------------------- */

static struct symmetric_key *
load_file(struct key_store *s, const struct place *place, const char *id, struct err *err)
{
	struct secret secret = { 0 };
	struct symmetric_key *key = NULL;

	if (key_files_load_secret(&s->files, place->path, &secret, err) == 0)
		key = symmetric_key_from_secret(&secret);
	else if (err->kind == ERR_INVALID)
		err_wrap(err, "the key %.100s", id);
	secret_clear(&secret);
	return key;
}

static struct symmetric_key *
load_symmetric(struct key_store *s, const struct place *place, const char *id, struct err *err)
{
	struct symmetric_key *key = NULL;

	if (place->tpm_handle)
		return err_null(err, ERR_INVALID, "the key %.100s is a key pair in the TPM", id);
	if (place->token) {
		key = pkcs11_load_symmetric(s->pkcs11, place->token, err);
		if (key || !goes_on(place, err))
			return key;
	}
	return load_file(s, place, id, err);
}

/* Is the key made in the token?  1, 0 when it has no mechanism for this use, or -1. */
static int
goes_into_token(struct key_store *s, const struct place *place, const char *id, int usage, struct err *err)
{
	int can;

	if (!place->token)
		return 0;
	if (usage == (KEY_STORE_SIGN | KEY_STORE_ENCRYPT))
		return err_set(err, ERR_INVALID,
			"parameter \"usage\" has an invalid value: a key in a token encrypts, or it signs and derives");
	can = pkcs11_can(s->pkcs11, place->token, usage == KEY_STORE_ENCRYPT ? PKCS11_ENCRYPT : PKCS11_SIGN, err);
	if (can == 0)
		log_warn("the symmetric key %s goes into keyd's folder: the token has no %s", id,
			usage == KEY_STORE_ENCRYPT ? "AES-GCM" : "HMAC-SHA256");
	return can;
}

static struct symmetric_key *
make_in_token(struct key_store *s, const struct place *place, int usage, const struct secret *bytes, struct err *err)
{
	return pkcs11_make_symmetric(
		s->pkcs11, place->token, usage == KEY_STORE_ENCRYPT ? PKCS11_ENCRYPT : PKCS11_SIGN, bytes, err);
}

static struct symmetric_key *
make_in_file(struct key_store *s, const struct place *place, struct err *err)
{
	struct secret secret = { 0 };
	struct symmetric_key *key = NULL;

	if (key_files_make_secret(&s->files, place->path, &secret, err) == 0)
		key = symmetric_key_from_secret(&secret);
	secret_clear(&secret);
	return key;
}

static struct symmetric_key *
make_symmetric(struct key_store *s, const struct place *place, const char *id, int usage, struct err *err)
{
	int in_token = goes_into_token(s, place, id, usage, err);

	return in_token < 0 ? NULL : in_token ? make_in_token(s, place, usage, NULL, err) : make_in_file(s, place, err);
}

/* usage 0: load only. */
static struct symmetric_key *
find_or_make_symmetric(struct key_store *s, const char *id, int usage, struct err *err)
{
	CLEAR(place) place = { 0 };
	struct symmetric_key *key;

	if (find_place(s, id, &place, err) < 0)
		return NULL;
	claim(s, id, NULL);
	key = load_symmetric(s, &place, id, err);
	if (!key && usage != 0 && may_make(&place, err))
		key = make_symmetric(s, &place, id, usage, err);
	if (!key)
		tell_missing(&place, err);
	release(s, id, NULL);
	return key;
}

struct symmetric_key *
key_store_load_symmetric(struct key_store *s, const char *id, struct err *err)
{
	return find_or_make_symmetric(s, id, 0, err);
}

struct symmetric_key *
key_store_create_symmetric(struct key_store *s, const char *id, int usage, struct err *err)
{
	return find_or_make_symmetric(s, id, usage, err);
}

/* Into the place where the id is now, else where it would be made. */
static int
import(struct key_store *s, const struct place *place, const char *id, int usage, const struct secret *bytes, struct err *err)
{
	OWN(symmetric_key) before = place->token ? pkcs11_load_symmetric(s->pkcs11, place->token, err) : NULL;
	OWN(symmetric_key) now = NULL;
	int in_token;

	if (place->tpm_handle)
		return err_set(err, ERR_INVALID, "a key pair in the TPM");
	if (place->token && !before && !goes_on(place, err))
		return -1;
	in_token = before ? 1 : file_exists(place->path) ? 0 : goes_into_token(s, place, id, usage, err);
	if (in_token == 0)
		return key_files_import_secret(&s->files, place->path, bytes, err);
	now = in_token > 0 ? make_in_token(s, place, usage, bytes, err) : NULL;
	return now ? 0 : -1;
}

int
key_store_import_symmetric(struct key_store *s, const char *id, int usage, const void *bytes, size_t len, struct err *err)
{
	CLEAR(place) place = { 0 };
	struct secret secret = { 0 };
	int status;

	if (len == 0 || len > SECRET_MAX)
		return err_set(err, ERR_INVALID, "an imported key has 1 to %d bytes", SECRET_MAX);
	if (find_place(s, id, &place, err) < 0)
		return -1;
	secret_set(&secret, bytes, len);
	claim(s, id, NULL);
	status = import(s, &place, id, usage, &secret, err);
	release(s, id, NULL);
	secret_clear(&secret);
	return status < 0 && err->kind == ERR_INVALID ? err_wrap(err, "the key %.100s", id) : status;
}

static int
delete_symmetric(struct key_store *s, const struct place *place, struct err *err)
{
	OWN(symmetric_key) key = place->token ? pkcs11_load_symmetric(s->pkcs11, place->token, err) : NULL;

	if (key)
		return pkcs11_delete_symmetric(s->pkcs11, place->token, err);
	if (place->token && !goes_on(place, err))
		return -1;
	return place->path ? file_remove(place->path, err) : err_set(err, ERR_INVALID, "a key pair in the TPM");
}

int
key_store_delete_symmetric(struct key_store *s, const char *id, struct err *err)
{
	CLEAR(place) place = { 0 };
	int status;

	if (find_place(s, id, &place, err) < 0)
		return -1;
	claim(s, id, NULL);
	status = delete_symmetric(s, &place, err);
	release(s, id, NULL);
	return status;
}

int
key_store_own_secret(struct key_store *s, const char *id, struct secret *out, struct err *err)
{
	OWN_TEXT path = id_file_place(s->dir, id, ".key", err);
	struct key_files plain = { .tpm = s->files.tpm };

	if (!path)
		return -1;
	if (key_files_load_secret(&plain, path, out, err) == 0 || err->kind != ERR_MISSING)
		return err->kind == ERR_NONE ? 0 : -1;
	*err = (struct err)ERR_INIT;
	return key_files_make_secret(&plain, path, out, err);
}

struct tpm *
key_store_tpm(struct key_store *s)
{
	return s->files.tpm;
}
