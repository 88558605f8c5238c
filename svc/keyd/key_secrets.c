/* SPDX-License-Identifier: Apache-2.0 */
/* Symmetric keys of the store, in tokens and files, and sealed by the TPM. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "common/id_file.h"
#include "keyd/key_store_inside.h"
#include "keys/symmetric_key.h"

static struct symmetric_key *
load_file(struct key_store *s, const struct key_place *place, const char *id, struct err *err)
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
load_symmetric(struct key_store *s, const struct key_place *place, const char *id, struct err *err)
{
	struct symmetric_key *key = NULL;

	if (place->tpm_handle)
		return err_null(err, ERR_INVALID, "the key %.100s is a key pair in the TPM", id);
	if (place->token) {
		key = pkcs11_load_symmetric(s->pkcs11, place->token, err);
		if (key || !key_place_goes_on(place, err))
			return key;
	}
	return load_file(s, place, id, err);
}

/* Is the key made in the token?  1, 0 when it has no mechanism for this use, or -1. */
static int
goes_into_token(struct key_store *s, const struct key_place *place, const char *id, int usage, struct err *err)
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
make_in_token(struct key_store *s, const struct key_place *place, int usage, const struct secret *bytes, struct err *err)
{
	return pkcs11_make_symmetric(
		s->pkcs11, place->token, usage == KEY_STORE_ENCRYPT ? PKCS11_ENCRYPT : PKCS11_SIGN, bytes, err);
}

static struct symmetric_key *
make_in_file(struct key_store *s, const struct key_place *place, struct err *err)
{
	struct secret secret = { 0 };
	struct symmetric_key *key = NULL;

	if (key_files_make_secret(&s->files, place->path, &secret, err) == 0)
		key = symmetric_key_from_secret(&secret);
	secret_clear(&secret);
	return key;
}

static struct symmetric_key *
make_symmetric(struct key_store *s, const struct key_place *place, const char *id, int usage, struct err *err)
{
	int in_token = goes_into_token(s, place, id, usage, err);

	return in_token < 0 ? NULL : in_token ? make_in_token(s, place, usage, NULL, err) : make_in_file(s, place, err);
}

/* usage 0: load only. */
static struct symmetric_key *
find_or_make_symmetric(struct key_store *s, const char *id, int usage, struct err *err)
{
	CLEAR(key_place) place = { 0 };
	struct symmetric_key *key;

	if (key_place_find(&s->places, id, &place, err) < 0)
		return NULL;
	key_store_claim(s, id, NULL);
	key = load_symmetric(s, &place, id, err);
	if (!key && usage != 0 && key_place_may_make(&place, err))
		key = make_symmetric(s, &place, id, usage, err);
	if (!key)
		key_place_tell_missing(&place, err);
	key_store_release(s, id, NULL);
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
import(struct key_store *s, const struct key_place *place, const char *id, int usage, const struct secret *bytes, struct err *err)
{
	OWN(symmetric_key) before = place->token ? pkcs11_load_symmetric(s->pkcs11, place->token, err) : NULL;
	OWN(symmetric_key) now = NULL;
	int in_token;

	if (place->tpm_handle)
		return err_set(err, ERR_INVALID, "a key pair in the TPM");
	if (place->token && !before && !key_place_goes_on(place, err))
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
	CLEAR(key_place) place = { 0 };
	struct secret secret = { 0 };
	int status;

	if (len == 0 || len > SECRET_MAX)
		return err_set(err, ERR_INVALID, "an imported key has 1 to %d bytes", SECRET_MAX);
	if (key_place_find(&s->places, id, &place, err) < 0)
		return -1;
	secret_set(&secret, bytes, len);
	key_store_claim(s, id, NULL);
	status = import(s, &place, id, usage, &secret, err);
	key_store_release(s, id, NULL);
	secret_clear(&secret);
	return status < 0 && err->kind == ERR_INVALID ? err_wrap(err, "the key %.100s", id) : status;
}

static int
delete_symmetric(struct key_store *s, const struct key_place *place, struct err *err)
{
	OWN(symmetric_key) key = place->token ? pkcs11_load_symmetric(s->pkcs11, place->token, err) : NULL;

	if (key)
		return pkcs11_delete_symmetric(s->pkcs11, place->token, err);
	if (place->token && !key_place_goes_on(place, err))
		return -1;
	return place->path ? file_remove(place->path, err) : err_set(err, ERR_INVALID, "a key pair in the TPM");
}

int
key_store_delete_symmetric(struct key_store *s, const char *id, struct err *err)
{
	CLEAR(key_place) place = { 0 };
	int status;

	if (key_place_find(&s->places, id, &place, err) < 0)
		return -1;
	key_store_claim(s, id, NULL);
	status = delete_symmetric(s, &place, err);
	key_store_release(s, id, NULL);
	return status;
}

int
key_store_own_secret(struct key_store *s, const char *id, struct secret *out, struct err *err)
{
	OWN_TEXT path = id_file_place(s->places.dir, id, ".key", err);
	struct key_files plain = { .tpm = s->files.tpm };

	if (!path)
		return -1;
	if (key_files_load_secret(&plain, path, out, err) == 0 || err->kind != ERR_MISSING)
		return err->kind == ERR_NONE ? 0 : -1;
	*err = (struct err)ERR_INIT;
	return key_files_make_secret(&plain, path, out, err);
}
