/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys by id: files in keyd's folder, and preloaded ones elsewhere (edge-services 9.1).  Pairs are PKCS#8 PEM, symmetric keys raw bytes.  Create means create if absent; a file that
 * is there and can't be read is a failure and stays untouched (the original overwrites it).  Any thread. */

#include <jansson.h>

#include "base/secret.h"
#include "keys/key.h"

struct key_store;

/* preloaded: {"id": "/path"}, borrowed for the call. */
struct key_store *key_store_open(const char *dir, const json_t *preloaded, struct err *err);
void key_store_close(struct key_store *store);

struct key *key_store_load_pair(struct key_store *store, const char *id, struct err *err); /* ERR_MISSING */
struct key *key_store_create_pair(struct key_store *store, const char *id, const char *algorithms, struct err *err);
int key_store_load_secret(struct key_store *store, const char *id, struct secret *out, struct err *err);
int key_store_create_secret(struct key_store *store, const char *id, struct secret *out, struct err *err);
int key_store_import_secret(struct key_store *store, const char *id, const void *bytes, size_t len, struct err *err);
int key_store_delete(struct key_store *store, const char *id, struct err *err);
int key_store_move_pair(struct key_store *store, const char *from, const char *to, struct err *err); /* overwrites `to` */
