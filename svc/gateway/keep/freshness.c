/* SPDX-License-Identifier: Apache-2.0 */
/* A seal is the number of the place and an HMAC.  The key is made here and given to keyd, so that sealing, which comes more often than versions, asks nobody. */
#include "gateway/keep/freshness.h"

#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/secret.h"

#define PLACES 2
#define KEY_LEN 32
#define NO_PLACE (-1)

struct freshness {
	struct keyd_client *keyd;
	char *ids[PLACES], *mark; /* there is a key of this id once something with a seal was durable */
	bool is_marked;
	int place; /* of what is on the disk; NO_PLACE: nothing good is */
	int next;  /* of what is sealed now; NO_PLACE: none has begun */
	struct {
		struct secret key; /* that this process has put there */
		bool is_spare;	   /* nothing has been sealed by it yet */
		bool is_there;	   /* in keyd, for certain */
	} places[PLACES];
};

struct freshness *
freshness_new(struct keyd_client *keyd, const char *id)
{
	struct freshness *f = NEW(freshness);

	f->keyd = keyd;
	f->place = f->next = NO_PLACE;
	f->mark = mem_textf("edgehub-fresh-%s", id);
	for (int i = 0; i < PLACES; i++)
		f->ids[i] = mem_textf("edgehub-fresh-%s-%d", id, i);
	return f;
}

void
freshness_free(struct freshness *f)
{
	if (!f)
		return;
	for (int i = 0; i < PLACES; i++) {
		mem_free(f->ids[i]);
		secret_clear(&f->places[i].key);
	}
	mem_free(f->mark);
	mem_free(f);
}

/* -- Looking --------------------------------------------------------------------------------------------------------------------------------- */

int
freshness_check(struct freshness *f, const uint8_t seal[static FRESHNESS_SEAL_LEN], const void *data, size_t len, struct err *err)
{
	OWN_TEXT handle = seal[0] < PLACES ? keyd_client_load_key(f->keyd, f->ids[seal[0]], err) : NULL;
	uint8_t mac[DIGEST_SHA256_LEN];

	if (seal[0] >= PLACES || (!handle && err->kind == ERR_MISSING))
		return 0;
	if (!handle || keyd_client_hmac(f->keyd, handle, data, len, mac, err) < 0)
		return -1;
	if (!mem_equal_ct(mac, seal + 1, sizeof(mac)))
		return 0;
	f->place = seal[0];
	return 1;
}

int
freshness_is_known(struct freshness *f, struct err *err)
{
	struct err why = ERR_INIT;
	OWN_TEXT handle = keyd_client_load_key(f->keyd, f->mark, &why);

	if (handle || why.kind == ERR_MISSING)
		return handle ? 1 : 0;
	*err = why;
	return -1;
}

/* -- Writing --------------------------------------------------------------------------------------------------------------------------------- */

static void
make_spare(struct freshness *f, int place)
{
	uint8_t key[KEY_LEN];

	random_bytes(key, sizeof(key));
	secret_set(&f->places[place].key, key, sizeof(key));
	f->places[place].is_spare = true;
	f->places[place].is_there = false;
	mem_wipe(key, sizeof(key));
}

/* Whatever was there is gone, and what is sealed there next has its key. */
static int
put_spare(struct freshness *f, int place, struct err *err)
{
	const struct secret *key = &f->places[place].key;

	if (!f->places[place].is_spare)
		make_spare(f, place);
	if (!f->places[place].is_there && keyd_client_import_key(f->keyd, f->ids[place], "sign", key->bytes, key->len, err) < 0)
		return err_wrap(err, "a mark of what is newest");
	f->places[place].is_there = true;
	return 0;
}

int
freshness_next(struct freshness *f, struct err *err)
{
	int next = f->place == NO_PLACE ? 0 : 1 - f->place;

	if (f->next != NO_PLACE && f->next != f->place)
		return 0;
	if ((f->place == NO_PLACE && put_spare(f, 1 - next, err) < 0) || put_spare(f, next, err) < 0)
		return -1;
	f->places[next].is_spare = false;
	f->next = next;
	return 0;
}

bool
freshness_has_begun(const struct freshness *f)
{
	return f->next != NO_PLACE;
}

void
freshness_seal(const struct freshness *f, const void *data, size_t len, uint8_t seal[static FRESHNESS_SEAL_LEN])
{
	seal[0] = (uint8_t)f->next;
	digest_hmac_sha256(f->places[f->next].key.bytes, f->places[f->next].key.len, data, len, seal + 1);
}

/* What can't be marked now is the next time; a crash before it leaves no more than one more start at which what has no seal counts.  A key that can't be put there now is when a version needs it. */
void
freshness_settle(struct freshness *f)
{
	struct err ignored = ERR_INIT;
	OWN_TEXT handle = f->is_marked ? NULL : keyd_client_create_key(f->keyd, f->mark, "sign", &ignored);

	f->is_marked = f->is_marked || handle;
	if (f->place == f->next)
		return;
	f->place = f->next;
	(void)put_spare(f, 1 - f->place, &ignored);
}
