/* SPDX-License-Identifier: Apache-2.0 */
/* Key pairs of the store, in tokens, files and the TPM. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "keyd/key_store_inside.h"
#include "keys/key_source.h"

static struct key *
load_pair(struct key_store *s, const struct key_place *place, struct err *err)
{
	struct key *key = NULL;

	if (place->tpm_handle)
		return tpm_load_persistent(s->files.tpm, place->tpm_handle, err);
	if (place->token) {
		key = pkcs11_load_pair(s->pkcs11, place->token, err);
		if (key || !key_place_goes_on(place, err))
			return key;
	}
	return key_file_load(s->files.tpm, place->path, err);
}

static struct key *
make_pair(struct key_store *s, const struct key_place *place, const char *algorithms, struct err *err)
{
	return place->token ? pkcs11_make_pair(s->pkcs11, place->token, algorithms, err)
			    : key_files_make_pair(&s->files, place->path, algorithms, err);
}

/* What is in a token is asked for there: another program may have deleted it.  algorithms: NULL to load only. */
static struct key *
find_or_make_pair(struct key_store *s, const char *id, const char *algorithms, struct err *err)
{
	CLEAR(key_place) place = { 0 };
	struct key *key;

	if (key_place_find(&s->places, id, &place, err) < 0)
		return NULL;
	key_store_claim(s, id, NULL);
	key = place.token ? NULL : key_store_find_in_memory(s, id);
	if (!key)
		key = load_pair(s, &place, err);
	if (!key && algorithms && key_place_may_make(&place, err))
		key = make_pair(s, &place, algorithms, err);
	if (key) {
		key_store_keep_in_memory(s, id, key);
	} else {
		key_store_forget(s, id);
		key_place_tell_missing(&place, err);
	}
	key_store_release(s, id, NULL);
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
	struct key *key = key_store_find_in_memory(s, id);

	return key ? key : find_or_make_pair(s, id, NULL, err);
}

struct key *
key_store_quick_pair(struct key_store *s, const char *id)
{
	OWN(key) key = key_store_find_in_memory(s, id);
	enum key_alg alg;

	if (!key || key_is_remote(key) || !key_pkey_alg(key_pkey(key), &alg) || alg != KEY_EC_P256)
		return NULL;
	return GIVE(key);
}

struct key *
key_store_create_pair(struct key_store *s, const char *id, const char *algorithms, struct err *err)
{
	return find_or_make_pair(s, id, algorithms, err);
}

/* 1: in its token; 0: not there, or it has none. */
static int
is_in_token(struct key_store *s, const struct key_place *place, struct err *err)
{
	OWN(key) key = place->token ? pkcs11_load_pair(s->pkcs11, place->token, err) : NULL;

	if (key || !place->token)
		return key != NULL;
	return key_place_goes_on(place, err) ? 0 : -1;
}

static int
move_file(struct key_store *s, const struct key_place *from, const struct key_place *to, struct err *err)
{
	if (rename(from->path, to->path) < 0)
		return err_errno(err, "moving %s to %s", from->path, to->path);
	return file_sync_dir(s->places.dir, err);
}

/* What lies in a file under the new name would come to light when the pair in the token is deleted. */
static int
move_in_token(struct key_store *s, const struct key_place *from, const struct key_place *to, const char *to_id, struct err *err)
{
	return pkcs11_move_pair(s->pkcs11, from->token, to_id, err) < 0 ? -1 : file_remove(to->path, err);
}

static int
move_pair(struct key_store *s, const struct key_place *from, const struct key_place *to, const char *to_id, struct err *err)
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
	CLEAR(key_place) from_place = { 0 };
	CLEAR(key_place) to_place = { 0 };
	OWN(key) key = NULL;
	int status;

	if (key_place_find(&s->places, from, &from_place, err) < 0 || key_place_find(&s->places, to, &to_place, err) < 0)
		return -1;
	key_store_claim(s, from, to);
	key = load_pair(s, &from_place, err);
	status = key ? move_pair(s, &from_place, &to_place, to, err) : -1;
	if (!key)
		key_place_tell_missing(&from_place, err);
	key_store_forget(s, from);
	key_store_forget(s, to);
	key_store_release(s, from, to);
	return status;
}

static int
delete_pair(struct key_store *s, const struct key_place *place, struct err *err)
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
	CLEAR(key_place) place = { 0 };
	int status;

	if (key_place_find(&s->places, id, &place, err) < 0)
		return -1;
	key_store_claim(s, id, NULL);
	status = delete_pair(s, &place, err);
	key_store_forget(s, id);
	key_store_release(s, id, NULL);
	return status;
}
