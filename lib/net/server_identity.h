/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a server shows of itself, from files: a certificate with its intermediates and its key, and for old clients an RSA pair beside it. */

#include "net/tls.h"

struct server_identity_paths {
	const char *cert, *key;
	const char *rsa_cert, *rsa_key; /* NULL: none */
};

struct server_identity {
	struct certs chain, rsa_chain;
	struct key *key, *rsa_key;
};

/* To be cleared whatever this says. */
int server_identity_load(struct server_identity *id, const struct server_identity_paths *paths, struct err *err);
void server_identity_clear(struct server_identity *id);
/* Clients are asked for a certificate.  cache NULL: sessions are not resumed. */
struct tls_server *server_identity_tls(
	const struct server_identity *id, const char *session_scope, struct tls_cache *cache, struct err *err);
