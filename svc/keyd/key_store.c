/* SPDX-License-Identifier: Apache-2.0 */
/* Keys by id.  Pairs in use stay in memory: reading one from PEM costs OpenSSL 3.0 as much as twenty signatures.
 *
 * Making an RSA key takes seconds in some tokens, so the lock is held for a look at the maps only; an id on which somebody works is claimed. */
#include "base/file.h"
#include "base/mem.h"
#include "keyd/key_store_inside.h"

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------ */

static int
take_config(struct key_store *s, const struct key_store_config *config, struct err *err)
{
	s->pkcs11 = pkcs11_new(config->pkcs11_module);
	s->files.tpm = tpm_new(config->tpm_tcti, config->tpm_owner_auth.len > 0 ? &config->tpm_owner_auth : NULL);
	s->files.make_in_tpm = config->tpm_base;
	if (config->tpm_base && config->pkcs11_base)
		return err_set(err, ERR_INVALID, "new keys are made in one place: either pkcs11_base_slot or tpm_base");
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
	s->pairs = map_new();
	s->claimed = map_new();
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->released, NULL);
	if (key_places_open(&s->places, config->dir, config->preloaded, config->pkcs11_base, err) < 0 ||
		take_config(s, config, err) < 0) {
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
	map_free(s->pairs);
	map_free(s->claimed);
	key_places_clear(&s->places);
	pkcs11_free(s->pkcs11);
	tpm_free(s->files.tpm);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->released);
	mem_free(s);
}

struct tpm *
key_store_tpm(struct key_store *s)
{
	return s->files.tpm;
}

/* -- Claims and memory --------------------------------------------------------------------------------------------------------------------- */

void
key_store_claim(struct key_store *s, const char *a, const char *b)
{
	pthread_mutex_lock(&s->lock);
	while (map_find_text(s->claimed, a) || (b && map_find_text(s->claimed, b)))
		pthread_cond_wait(&s->released, &s->lock);
	map_put_text(s->claimed, a, s);
	if (b)
		map_put_text(s->claimed, b, s);
	pthread_mutex_unlock(&s->lock);
}

void
key_store_release(struct key_store *s, const char *a, const char *b)
{
	pthread_mutex_lock(&s->lock);
	map_remove_text(s->claimed, a);
	if (b)
		map_remove_text(s->claimed, b);
	pthread_cond_broadcast(&s->released);
	pthread_mutex_unlock(&s->lock);
}

struct key *
key_store_find_in_memory(struct key_store *s, const char *id)
{
	struct key *key;

	pthread_mutex_lock(&s->lock);
	key = key_ref(map_find_text(s->pairs, id));
	pthread_mutex_unlock(&s->lock);
	return key;
}

void
key_store_keep_in_memory(struct key_store *s, const char *id, struct key *key)
{
	pthread_mutex_lock(&s->lock);
	key_free(map_put_text(s->pairs, id, key_ref(key)));
	pthread_mutex_unlock(&s->lock);
}

void
key_store_forget(struct key_store *s, const char *id)
{
	pthread_mutex_lock(&s->lock);
	key_free(map_remove_text(s->pairs, id));
	pthread_mutex_unlock(&s->lock);
}
