/* SPDX-License-Identifier: Apache-2.0 */
/* Files, tokens and TPMs, told apart by how their places begin; and keys that are found late (key_source.h). */
#include "keys/key_source.h"

#include <pthread.h>

#include "base/file.h"
#include "base/mem.h"
#include "keys/pkcs11.h"
#include "keys/tpm.h"
#include "wire/tss_key.h"

#define FILE_MAX (64 * 1024)

struct key_source {
	struct pkcs11 *pkcs11;
	struct tpm *tpm;
};

struct key_source *
key_source_new(const struct key_source_config *config)
{
	struct key_source *s = NEW(key_source);

	s->pkcs11 = pkcs11_new(config->pkcs11_module);
	s->tpm = tpm_new(config->tpm_tcti, NULL);
	return s;
}

void
key_source_free(struct key_source *s)
{
	if (!s)
		return;
	pkcs11_free(s->pkcs11);
	tpm_free(s->tpm);
	mem_free(s);
}

bool
key_source_is_file(const char *place)
{
	return !pkcs11_uri_is(place) && !tss_key_is_uri(place);
}

/* -- Loading ------------------------------------------------------------------------------------------------------------------------------ */

static struct key *
load_from_token(struct key_source *s, const char *place, struct err *err)
{
	OWN(pkcs11_uri) uri = pkcs11_uri_parse(place, err);

	return uri ? pkcs11_load_pair(s->pkcs11, uri, err) : NULL;
}

static struct key *
load_from_tpm(struct key_source *s, const char *place, struct err *err)
{
	uint32_t handle;

	return tss_key_parse_uri(place, &handle, err) == 0 ? tpm_load_persistent(s->tpm, handle, err) : NULL;
}

struct key *
key_file_load(struct tpm *tpm, const char *path, struct err *err)
{
	struct buf text = BUF_INIT(FILE_MAX);
	struct key *key = NULL;

	if (file_load(&text, path, err) == 0) {
		key = tss_key_is(buf_text(&text), text.len) ? tpm_load_pair(tpm, buf_text(&text), text.len, err)
							    : key_from_pem(buf_text(&text), text.len, err);
		if (!key)
			err_wrap(err, "%s", path);
	}
	buf_wipe(&text);
	return key;
}

struct key *
key_source_load(struct key_source *s, const char *place, struct err *err)
{
	if (pkcs11_uri_is(place))
		return load_from_token(s, place, err);
	return tss_key_is_uri(place) ? load_from_tpm(s, place, err) : key_file_load(s->tpm, place, err);
}

/* -- Late --------------------------------------------------------------------------------------------------------------------------------- */

struct late {
	char *place;
	EVP_PKEY *public_half;
	struct key *key; /* NULL: not found yet */
	struct key_source *source;
	pthread_mutex_t lock; /* of key */
};

static void
late_free(void *arg)
{
	struct late *late = arg;

	mem_free(late->place);
	EVP_PKEY_free(late->public_half);
	key_free(late->key);
	pthread_mutex_destroy(&late->lock);
	mem_free(late);
}

/* Whoever put it back may have put back another one. */
static struct key *
find(struct late *late, struct err *err)
{
	OWN(key) key = key_source_load(late->source, late->place, err);

	if (!key)
		return NULL;
	if (!key_is_remote(key) || EVP_PKEY_eq(key_pkey(key), late->public_half) != 1)
		return err_null(err, ERR_INVALID, "the key that is there now is not the one that belongs to the certificate");
	return GIVE(key);
}

static int
late_sign(void *arg, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	struct late *late = arg;
	OWN(key) key = NULL;

	pthread_mutex_lock(&late->lock);
	if (!late->key)
		late->key = find(late, err);
	key = key_ref(late->key);
	pthread_mutex_unlock(&late->lock);
	return key ? key_remote_sign(key, tbs, len, sig, sig_len, err) : -1;
}

static const struct key_remote_ops late_ops = { late_sign, late_free };

struct key *
key_source_load_late(struct key_source *s, const char *place, EVP_PKEY *public_half, struct err *away, struct err *err)
{
	struct key *key = key_source_load(s, place, err);
	struct late *late;

	if (key || err->kind != ERR_UNAVAILABLE)
		return key;
	*away = *err;
	*err = (struct err)ERR_INIT;
	late = NEW(late);
	late->place = mem_text(place);
	late->source = s;
	EVP_PKEY_up_ref(public_half);
	late->public_half = public_half;
	pthread_mutex_init(&late->lock, NULL);
	return key_remote_new(public_half, &late_ops, late, err);
}
