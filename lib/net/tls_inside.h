/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: SSL objects for connections. */

#include "diag/verdict.h"
#include "net/tls.h"

/* What hangs on an SSL object: of a server until there is a session that may be resumed, for an idle connection does not need it; of a client always. */
struct tls_peer {
	struct tls_server *server;
	char *identity;		       /* allowed to resume as, until there is a session that says so */
	struct tls_expected *expected; /* of a client, instead of both */
};
/* Whom a client expects there. */
struct tls_expected {
	struct tls_client *client;
	char *host;		  /* the name to check */
	struct verdict **verdict; /* where the verdict goes */
};
void tls_expected_free(struct tls_expected *expected);
struct tls_peer *tls_peer_of(SSL *ssl); /* NULL: it is not needed any more */
struct tls_peer *tls_peer_attach(SSL *ssl);

SSL_CTX *tls_ctx_new(const SSL_METHOD *method); /* with our versions, suites, groups and ceilings */
int tls_use_certificate(SSL_CTX *ctx, const struct certs *chain, const struct key *key, struct err *err);

SSL *tls_server_ssl(struct tls_server *server);		      /* ready to accept; holds its own reference of the context */
struct tls_server *tls_holder_get(struct tls_holder *holder); /* a reference */

/* Why libssl gave up, for people, from its error queue (emptied), its own code and errno.  True when the peer said so with an alert. */
#define TLS_FAILURE_LEN 160
bool tls_failure(int ssl_error, int number, char out[static TLS_FAILURE_LEN]);

void tls_set_sni(SSL *ssl, const char *host);
bool tls_client_has_key(const struct tls_client *client);
/* The verdict about the server is made during the handshake and lies in *verdict. */
SSL *tls_client_ssl(struct tls_client *client, const char *host, struct verdict **verdict);

/* After the verdict about a client. */
void tls_allow(SSL *ssl, const char *identity);
void tls_refuse(SSL *ssl);
void tls_drop_intermediates(SSL *ssl);
struct certs tls_peer_chain(SSL *ssl);
void tls_free(SSL *ssl); /* keeps its session in the cache */

void tls_cache_put(struct tls_cache *cache, SSL_SESSION *session_take, const char *identity);
SSL_SESSION *tls_cache_find(struct tls_cache *cache, const uint8_t *id, size_t len); /* a reference */
void tls_cache_remove(struct tls_cache *cache, SSL_SESSION *session);
