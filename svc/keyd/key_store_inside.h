/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The store's own files among themselves: key_store.c has who works on what and which pairs are in memory, key_pairs.c and key_secrets.c the work. */

#include <pthread.h>

#include "base/map.h"
#include "keyd/key_files.h"
#include "keyd/key_place.h"
#include "keyd/key_store.h"

struct key_store {
	struct key_places places;
	struct pkcs11 *pkcs11;
	struct key_files files;
	pthread_mutex_t lock; /* the following */
	pthread_cond_t released;
	struct map *claimed; /* ids */
	struct map *pairs;   /* id to struct key */
};

/* One at a time for each id.  b may be NULL; both at once, so that nobody waits for one with the other in hand. */
void key_store_claim(struct key_store *store, const char *a, const char *b);
void key_store_release(struct key_store *store, const char *a, const char *b);

struct key *key_store_find_in_memory(struct key_store *store, const char *id);
void key_store_keep_in_memory(struct key_store *store, const char *id, struct key *key);
void key_store_forget(struct key_store *store, const char *id);
