/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Certificates by id: files in certd's folder, preloaded ones elsewhere, and alias lists that join several ids (edge-services 1.2, 2.4).  Any thread; whoever
 * writes has the turn of the id (turns.h). */

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "pki/cert.h"

struct cert_store;

/* preloaded: {"id": "/path" or ["id", ...]}. */
struct cert_store *cert_store_open(const char *dir, const json_t *preloaded, struct err *err);
void cert_store_close(struct cert_store *store);

int cert_store_load(struct cert_store *store, const char *id, struct buf *pem, struct err *err); /* ERR_MISSING */
/* What is loaded of this id is what `change` makes of it; before it is shared.  load_given: as the operator gave it. */
void cert_store_change(struct cert_store *store, const char *id,
	int (*change)(void *arg, const char *pem, struct buf *out, struct err *err), void *arg);
int cert_store_load_given(struct cert_store *store, const char *id, struct buf *pem, struct err *err);
/* The same, read: for the chains of issuers, which are asked for again and again. */
int cert_store_load_certs(struct cert_store *store, const char *id, struct certs *out, struct err *err);
int cert_store_save(struct cert_store *store, const char *id, const char *pem, size_t len, struct err *err);
int cert_store_delete(struct cert_store *store, const char *id, struct err *err); /* absent is fine */
