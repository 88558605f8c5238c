/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* keyd as its callers see it (edge-services 1.1).  Calls block: use them on a worker. */

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "keys/key.h"

struct keyd_client;

struct keyd_client *keyd_client_new(const char *socket_path);
struct keyd_client *keyd_client_ref(struct keyd_client *client);
void keyd_client_free(struct keyd_client *client);
OWN_DEFINE(keyd_client);
/* For how long keyd has owed an answer: to a question that waits, or to the last one, which had none within the last half minute.  0: it answers, or was asked nothing.  Any thread. */
int64_t keyd_client_silent_ms(struct keyd_client *client);
/* How long ago it answered last; 0: a question waits for it.  Any thread. */
int64_t keyd_client_quiet_ms(struct keyd_client *client);
/* Asks where this key pair is, which of a key that keyd has in memory costs next to nothing: for what the two above say then.  Blocks, until *cancelled at most. */
void keyd_client_probe(struct keyd_client *client, const char *id, int64_t timeout_ms, const atomic_bool *cancelled);

/* Key pairs: the result signs through keyd, its private half never comes here (key_remote_new). */
struct key *keyd_client_create_pair(
	struct keyd_client *client, const char *id, const char *algorithms, struct err *err);	/* if absent */
struct key *keyd_client_load_pair(struct keyd_client *client, const char *id, struct err *err); /* ERR_MISSING */
int keyd_client_delete_pair(struct keyd_client *client, const char *id, struct err *err);
int keyd_client_move_pair(struct keyd_client *client, const char *from, const char *to, struct err *err);
char *keyd_client_pair_handle(struct keyd_client *client, const char *id, struct err *err);
struct key *keyd_client_pair_of_handle(struct keyd_client *client, const char *handle, struct err *err);

/* Symmetric keys, by handle. */
char *keyd_client_create_key(
	struct keyd_client *client, const char *id, const char *usage, struct err *err); /* if absent; gives the handle */
char *keyd_client_load_key(struct keyd_client *client, const char *id, struct err *err);
int keyd_client_import_key(
	struct keyd_client *client, const char *id, const char *usage, const void *bytes, size_t len, struct err *err);
char *keyd_client_derive(struct keyd_client *client, const char *base_handle, const void *data, size_t len, struct err *err);
int keyd_client_export_derived(struct keyd_client *client, const char *handle, struct buf *out, struct err *err);
int keyd_client_hmac(
	struct keyd_client *client, const char *handle, const void *data, size_t len, uint8_t out[static 32], struct err *err);
int keyd_client_encrypt(struct keyd_client *client, const char *handle, const void *iv, size_t iv_len, const void *aad,
	size_t aad_len, const void *data, size_t len, struct buf *out, struct err *err);
int keyd_client_decrypt(struct keyd_client *client, const char *handle, const void *iv, size_t iv_len, const void *aad,
	size_t aad_len, const void *data, size_t len, struct buf *out, struct err *err);

/* -- The TPM that provisioning knows this device by (edge-services 1.4), on a socket of its own ------------------------------------------- */

/* TPM2B_PUBLIC in base64; the caller owns both. */
int tpmd_client_keys(const char *socket_path, char **endorsement_key, char **storage_root_key, struct err *err);
int tpmd_client_import(const char *socket_path, const char *authentication_key, struct err *err); /* base64 */
int tpmd_client_sign(const char *socket_path, const void *data, size_t len, uint8_t out[static 32], struct err *err);
