/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: SSL objects for connections. */

#include "diag/verdict.h"
#include "net/tls.h"

SSL *tls_server_ssl(struct tls_server *server); /* ready to accept; holds its own reference of the context */
struct tls_server *tls_holder_get(struct tls_holder *holder); /* a reference */

/* The verdict about the server is made during the handshake and lies in *verdict. */
SSL *tls_client_ssl(struct tls_client *client, const char *host, struct verdict **verdict);

/* After the verdict about a client. */
void tls_allow(SSL *ssl, const char *identity);
void tls_refuse(SSL *ssl);
const char *tls_resumed_identity(SSL *ssl); /* NULL when not resumed */
void tls_drop_intermediates(SSL *ssl);
struct certs tls_peer_chain(SSL *ssl);
void tls_free(SSL *ssl); /* keeps its session in the cache */

void tls_cache_put(struct tls_cache *cache, SSL_SESSION *session_take, const char *identity);
SSL_SESSION *tls_cache_find(struct tls_cache *cache, const uint8_t *id, size_t len, char **identity); /* a reference */
void tls_cache_remove(struct tls_cache *cache, SSL_SESSION *session);
