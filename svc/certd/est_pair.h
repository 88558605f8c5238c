/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A certificate and its key that certd shows to EST servers: the chain lies in certd's store, the key in keyd.  A pair is replaced so that a crash at any point leaves one that belongs
 * together, or one that loading puts together. */

#include "certd/est_context.h"
#include "pki/cert.h"

struct est_pair {
	struct certs chain; /* as it is shown: without the root */
	struct key *key;
};
void est_pair_clear(struct est_pair *pair);

/* ERR_MISSING: it is not there, can't be read or doesn't belong together. */
int est_pair_load(struct est_pair *out, const struct est_context *ctx, const char *cert_id, const char *key_id, struct err *err);
/* The same for one that est_pair_install may have been putting in its place when it was killed. */
int est_pair_recover(struct est_pair *out, const struct est_context *ctx, const char *cert_id, const char *key_id, struct err *err);

/* "<id>-temp": where a key is made, and a certificate waits for it. */
char *est_pair_temp_id(const char *id);
/* new_key_id: where its key is until now; NULL: it has the key that the pair has. */
int est_pair_install(const struct est_context *ctx, const char *cert_id, const char *key_id, const char *new_key_id,
	const struct certs *chain, struct err *err);
