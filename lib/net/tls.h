/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TLS contexts.  A server context is immutable and shared by reference; replacing the certificate means making a new context and giving it to the
 * holder (tls_holder_swap): new handshakes use the new one, open sessions live on.
 *
 * What a TLS server on OpenSSL 3.0 must switch on and off (performance.md): no automatic tickets; one stateful ticket issued after the
 * verdict (conn_allow_resumption), kept in a bounded cache that outlives contexts and is indexed by identity; client certificates
 * are asked for, never demanded, and any chain is accepted at TLS level (the decision belongs to auth); release-buffers, read-ahead;
 * X25519 first; TLS 1.2 and 1.3; no ALPN, no SNI needed. */

#include <openssl/ssl.h>

#include "base/err.h"
#include "base/own.h"
#include "keys/key.h"
#include "pki/cert.h"
#include "pki/chain.h"

struct tls_server;
struct tls_server_config {
	const struct certs *chain;     /* leaf first, as sent */
	struct key *key;	       /* may be remote */
	const struct certs *rsa_chain; /* an RSA certificate beside it for old clients, or NULL */
	struct key *rsa_key;
	bool ask_client_cert;
	const char *session_scope; /* session id context: a session of one listener is no good at another (atk-09) */
	struct tls_cache *cache;   /* NULL: no resumption */
	/* Shown instead to whoever asks (SNI) for a name in their certificates, the first of them that has it; a name that this one has itself goes before their wildcards.  Made with the same
	 * settings but for that and on_name; this one holds them. */
	struct tls_server *const *others;
	size_t n_others;
	void (*on_name)(void *arg,
		const char *name); /* told of a name that a client asks for and none of them has, on any thread; NULL: nobody is */
	void *name_arg;
};
struct tls_server *tls_server_new(const struct tls_server_config *config, struct err *err);
struct tls_server *tls_server_ref(struct tls_server *server);
void tls_server_free(struct tls_server *server);
OWN_DEFINE(tls_server);

/* The holder of the current context of a listener; several loops read it, one owner swaps. */
struct tls_holder;
struct tls_holder *tls_holder_new(struct tls_server *server_take);
void tls_holder_free(struct tls_holder *holder);
void tls_holder_swap(struct tls_holder *holder, struct tls_server *server_take);
/* Would who asks for that name be shown a certificate that has it?  Any thread; false where the context looks at no names (on_name, others). */
bool tls_holder_has_name(struct tls_holder *holder, const char *name);

/* Stateful sessions, bounded, shared by loops and contexts; a session is bound to the identity that was let in with it. */
struct tls_cache;
struct tls_cache *tls_cache_new(size_t max_sessions);
void tls_cache_free(struct tls_cache *cache);
void tls_cache_drop_identity(struct tls_cache *cache, const char *identity); /* trust was withdrawn */

/* A client: verifies the server's chain and name with pki/chain during the handshake and keeps the verdict. */
struct tls_client;
struct tls_client_config {
	const char *who;	   /* asks, for the verdict; NULL: "client" */
	struct anchors *anchors;   /* what to trust */
	const struct certs *chain; /* own certificate, or NULL */
	struct key *key;
};
struct tls_client *tls_client_new(const struct tls_client_config *config, struct err *err);
/* Would it take a server that shows this chain, leaf first, for `host` today?  The caller owns the verdict. */
struct verdict *tls_client_judge(const struct tls_client *client, const struct certs *chain, const char *host);
struct tls_client *tls_client_ref(struct tls_client *client);
void tls_client_free(struct tls_client *client);
OWN_DEFINE(tls_client);
