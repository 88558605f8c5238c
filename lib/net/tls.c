/* SPDX-License-Identifier: Apache-2.0 */
/* TLS contexts of servers, and what both sides share.  The switches and their worth are in tls.h and docs/performance.md. */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "net/tls_inside.h"
#include "net/tls_names.h"

#define SESSION_LIFE_S (4 * 3600)
#define PEER_CHAIN_MAX                                                                                                             \
	(32 * 1024) /* bytes of certificates that a peer may send: they are decoded before anything is judged, 0.25 ms each */
#define PEER_CERTS_MAX 10
#define PEER_KEY_BITS_MAX 8192 /* whoever sends a larger key wants us to compute */

/* X25519 first: with P-256 the peer's point has to be validated.  Forward secrecy always; the CBC suites at the end are for old clients of hub.md 1.1. */
static char groups[] = /* not const: OpenSSL's macro drops that */ "X25519:P-256:P-384";
static const char tls12_suites[] = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES256+SHA384:ECDHE+AES128+SHA256:!aNULL:!PSK";

struct tls_server {
	SSL_CTX *ctx;
	struct key *keys[2];
	struct cert *leaf;
	struct tls_server **others;
	size_t n_others;
	struct tls_names *names; /* which of them, or this one, for which name */
	void (*on_name)(void *arg, const char *name);
	void *name_arg;
	atomic_int n_refs;
};

struct tls_holder {
	struct tls_server *server;
	pthread_mutex_t lock;
};

/* It hangs where the argument of a password callback would: nobody asks a connection for a password, and an application slot (ex_data) costs each connection two more
 * allocations, 96 bytes. */
struct tls_peer *
tls_peer_of(SSL *ssl)
{
	return SSL_get_default_passwd_cb_userdata(ssl);
}

struct tls_peer *
tls_peer_attach(SSL *ssl)
{
	struct tls_peer *peer = NEW(tls_peer);

	assert(ssl); /* out of memory; and without an SSL the connection would be a plain one */
	SSL_set_default_passwd_cb_userdata(ssl, peer);
	return peer;
}

static void
peer_free(struct tls_peer *peer)
{
	if (!peer)
		return;
	tls_server_free(peer->server);
	tls_expected_free(peer->expected);
	mem_free(peer->identity);
	mem_free(peer);
}

static void
peer_detach(SSL *ssl)
{
	peer_free(tls_peer_of(ssl));
	SSL_set_default_passwd_cb_userdata(ssl, NULL);
}

static struct tls_cache *
cache_of(SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)); /* borrowed: outlives contexts */
}

static int
ssl_failure(struct err *err, const char *what)
{
	char why[160] = "";

	ERR_error_string_n(ERR_peek_last_error(), why, sizeof(why));
	ERR_clear_error();
	return err_set(err, ERR_INVALID, "%s: %s", what, why);
}

/* -- Both sides ------------------------------------------------------------------------------------------------------------------- */

int
tls_use_certificate(SSL_CTX *ctx, const struct certs *chain, const struct key *key, struct err *err)
{
	if (chain->n == 0)
		return err_set(err, ERR_INVALID, "there is no certificate to use");
	if (!cert_matches_key(chain->item[0], key))
		return err_set(
			err, ERR_INVALID, "the private key does not belong to the certificate %s", cert_subject(chain->item[0]));
	if (SSL_CTX_use_certificate(ctx, cert_x509(chain->item[0])) != 1)
		return ssl_failure(err, cert_subject(chain->item[0]));
	for (size_t i = 1; i < chain->n; i++) {
		if (cert_is_self_issued(chain->item[i]))
			continue; /* roots are not sent: the peer has it or does not trust it */
		if (SSL_CTX_add1_chain_cert(ctx, cert_x509(chain->item[i])) != 1)
			return ssl_failure(err, cert_subject(chain->item[i]));
	}
	if (SSL_CTX_use_PrivateKey(ctx, key_pkey(key)) != 1)
		return ssl_failure(err, "the private key");
	return 0;
}

static void
set_common(SSL_CTX *ctx)
{
	SSL_CTX_set_security_level(ctx, 2); /* Debian's default, but not everybody's */
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set1_groups_list(ctx, groups);
	SSL_CTX_set_cipher_list(ctx, tls12_suites);
	SSL_CTX_set_max_cert_list(ctx, PEER_CHAIN_MAX);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
}

SSL_CTX *
tls_ctx_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	assert(ctx);
	set_common(ctx);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	return ctx;
}

bool
tls_failure(int ssl_error, int number, char out[static TLS_FAILURE_LEN])
{
	unsigned long code = ERR_peek_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	bool is_ssl = code && ERR_GET_LIB(code) == ERR_LIB_SSL;
	bool is_alert = is_ssl && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;
	const char *alert = is_alert && reason ? strstr(reason, "alert ") : NULL;

	if (alert)
		snprintf(out, TLS_FAILURE_LEN, "the peer says '%s'", alert + strlen("alert "));
	else if (is_ssl && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
		snprintf(out, TLS_FAILURE_LEN, "what the peer says is not TLS");
	else if (reason)
		snprintf(out, TLS_FAILURE_LEN, "%s", reason);
	else if (code && ERR_SYSTEM_ERROR(code))
		snprintf(out, TLS_FAILURE_LEN, "%s", strerror(ERR_GET_REASON(code)));
	else if (ssl_error == SSL_ERROR_SYSCALL && number != 0)
		snprintf(out, TLS_FAILURE_LEN, "%s", strerror(number));
	else
		snprintf(out, TLS_FAILURE_LEN, "the peer closed the connection");
	ERR_clear_error();
	return is_alert;
}

/* -- Server ------------------------------------------------------------------------------------------------------------------------ */

/* Also beside the leaf: whoever looks for an issuer among them computes with their keys.  A key that can't be read is no issuer's. */
static bool
costs_too_much(const X509 *leaf, STACK_OF(X509) * beside)
{
	if (!X509_get0_pubkey(leaf) || EVP_PKEY_get_bits(X509_get0_pubkey(leaf)) > PEER_KEY_BITS_MAX ||
		sk_X509_num(beside) > PEER_CERTS_MAX)
		return true;
	for (int i = 0; i < sk_X509_num(beside); i++) {
		const EVP_PKEY *key = X509_get0_pubkey(sk_X509_value(beside, i));

		if (key && EVP_PKEY_get_bits(key) > PEER_KEY_BITS_MAX)
			return true;
	}
	return false;
}

/* Possession is proven by the handshake; whether this certificate may come in is decided when the claimed identity is known.  Only what would cost us too much ends here (atk-23). */
static int
accept_any(X509_STORE_CTX *ctx, void *arg)
{
	(void)arg;
	if (costs_too_much(X509_STORE_CTX_get0_cert(ctx), X509_STORE_CTX_get0_untrusted(ctx))) {
		X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_REJECTED);
		return 0;
	}
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

static int
on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_peer *peer = tls_peer_of(ssl);

	if (!peer || !peer->identity)
		return 0; /* TLS 1.2 asks before the verdict: tls_allow puts it in afterwards */
	tls_cache_put(cache_of(ssl), session, peer->identity);
	peer_detach(ssl);
	return 1;
}

static SSL_SESSION *
on_find_session(SSL *ssl, const unsigned char *id, int len, int *copy)
{
	struct tls_cache *cache = cache_of(ssl);

	*copy = 0;
	return cache ? tls_cache_find(cache, id, (size_t)len) : NULL;
}

/* libssl found a session too old, or a connection of it broke with an alert. */
static void
on_dead_session(SSL_CTX *ctx, SSL_SESSION *session)
{
	tls_cache_remove(SSL_CTX_get_app_data(ctx), session);
}

static void
set_sessions(SSL_CTX *ctx, const struct tls_server_config *config)
{
	const char *scope = config->session_scope ? config->session_scope : "rootedge";

	SSL_CTX_set_session_id_context(ctx, (const uint8_t *)scope, (unsigned int)strnlen(scope, SSL_MAX_SID_CTX_LENGTH));
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
	if (!config->cache) {
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		return;
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR);
	SSL_CTX_set_timeout(ctx, SESSION_LIFE_S);
	SSL_CTX_sess_set_new_cb(ctx, on_new_session);
	SSL_CTX_sess_set_get_cb(ctx, on_find_session);
	SSL_CTX_set_app_data(ctx, config->cache);
	SSL_CTX_sess_set_remove_cb(ctx, on_dead_session);
}

/* The context that is shown instead has the same settings, so that its certificate is all that changes.  It lives as long as this one, which the connection holds. */
static int
on_servername(SSL *ssl, int *alert, void *arg)
{
	const struct tls_server *server = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct tls_server *shown = name ? tls_names_find(server->names, name) : NULL;

	(void)alert;
	if (shown && shown != server)
		SSL_set_SSL_CTX(ssl, shown->ctx);
	if (name && !shown && server->on_name)
		server->on_name(server->name_arg, name);
	return shown ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static void
set_names(struct tls_server *server, const struct tls_server_config *config)
{
	if (!config->on_name && config->n_others == 0)
		return;
	server->on_name = config->on_name;
	server->name_arg = config->name_arg;
	server->names = tls_names_new();
	server->others = mem_array(config->n_others + 1, sizeof(struct tls_server *));
	for (size_t i = 0; i < config->n_others; i++) {
		server->others[server->n_others++] = tls_server_ref(config->others[i]);
		tls_names_add(server->names, config->others[i]->leaf, config->others[i]);
	}
	tls_names_add(server->names, server->leaf, server);
	SSL_CTX_set_tlsext_servername_callback(server->ctx, on_servername);
	SSL_CTX_set_tlsext_servername_arg(server->ctx, server);
}

struct tls_server *
tls_server_new(const struct tls_server_config *config, struct err *err)
{
	OWN(tls_server) server = NEW(tls_server);

	server->n_refs = 1;
	server->ctx = tls_ctx_new(TLS_server_method());
	if (tls_use_certificate(server->ctx, config->chain, config->key, err) < 0)
		return NULL;
	if (config->rsa_chain && tls_use_certificate(server->ctx, config->rsa_chain, config->rsa_key, err) < 0)
		return err_wrap_null(err, "the RSA certificate");
	server->keys[0] = key_ref(config->key);
	server->keys[1] = key_ref(config->rsa_key);
	server->leaf = cert_ref(config->chain->item[0]);
	SSL_CTX_set_options(server->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	if (config->ask_client_cert) {
		SSL_CTX_set_verify(server->ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_cert_verify_callback(server->ctx, accept_any, NULL);
	}
	set_sessions(server->ctx, config);
	set_names(server, config);
	return GIVE(server);
}

struct tls_server *
tls_server_ref(struct tls_server *server)
{
	if (server)
		server->n_refs++;
	return server;
}

void
tls_server_free(struct tls_server *server)
{
	if (!server || --server->n_refs > 0)
		return;
	SSL_CTX_free(server->ctx);
	for (size_t i = 0; i < server->n_others; i++)
		tls_server_free(server->others[i]);
	mem_free(server->others);
	tls_names_free(server->names);
	cert_free(server->leaf);
	key_free(server->keys[0]);
	key_free(server->keys[1]);
	mem_free(server);
}

SSL *
tls_server_ssl(struct tls_server *server)
{
	SSL *ssl = SSL_new(server->ctx);

	tls_peer_attach(ssl)->server = tls_server_ref(server);
	SSL_set_accept_state(ssl);
	return ssl;
}

struct tls_holder *
tls_holder_new(struct tls_server *server_take)
{
	struct tls_holder *holder = NEW(tls_holder);

	holder->server = server_take;
	pthread_mutex_init(&holder->lock, NULL);
	return holder;
}

void
tls_holder_free(struct tls_holder *holder)
{
	if (!holder)
		return;
	tls_server_free(holder->server);
	pthread_mutex_destroy(&holder->lock);
	mem_free(holder);
}

void
tls_holder_swap(struct tls_holder *holder, struct tls_server *server_take)
{
	struct tls_server *before;

	pthread_mutex_lock(&holder->lock);
	before = holder->server;
	holder->server = server_take;
	pthread_mutex_unlock(&holder->lock);
	tls_server_free(before);
}

struct tls_server *
tls_holder_get(struct tls_holder *holder)
{
	struct tls_server *server;

	pthread_mutex_lock(&holder->lock);
	server = tls_server_ref(holder->server);
	pthread_mutex_unlock(&holder->lock);
	return server;
}

bool
tls_holder_has_name(struct tls_holder *holder, const char *name)
{
	OWN(tls_server) server = tls_holder_get(holder);

	return server->names && tls_names_find(server->names, name);
}

/* -- After the verdict -------------------------------------------------------------------------------------------------------------- */

void
tls_drop_intermediates(SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);

	while (chain && sk_X509_num(chain) > 0)
		X509_free(sk_X509_pop(chain));
}

void
tls_allow(SSL *ssl, const char *identity)
{
	struct tls_peer *peer = tls_peer_of(ssl);
	struct tls_cache *cache = cache_of(ssl);

	if (!peer || !cache)
		return;
	if (SSL_version(ssl) >= TLS1_3_VERSION) {
		mem_free(peer->identity);
		peer->identity = mem_text(identity);
		SSL_new_session_ticket(ssl); /* leaves with the next write */
		return;
	}
	if (!SSL_session_reused(ssl)) {
		SSL_SESSION *session = SSL_get1_session(ssl);

		if (session)
			tls_cache_put(cache, session, identity);
	}
	peer_detach(ssl);
}

void
tls_refuse(SSL *ssl)
{
	struct tls_cache *cache = cache_of(ssl);
	SSL_SESSION *session = SSL_get0_session(ssl);

	if (cache && session)
		tls_cache_remove(cache, session);
}

struct certs
tls_peer_chain(SSL *ssl)
{
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl);
	struct certs chain = { 0 };

	if (!leaf)
		return chain;
	certs_add(&chain, NULL);
	chain.item[0] = cert_from_x509(leaf);
	for (int i = 0; i < sk_X509_num(sent); i++) {
		OWN(cert) cert = NULL;

		if (sk_X509_value(sent, i) == leaf || X509_cmp(sk_X509_value(sent, i), leaf) == 0)
			continue;
		cert = cert_from_x509(sk_X509_value(sent, i));
		certs_add(&chain, cert);
	}
	return chain;
}

void
tls_free(SSL *ssl)
{
	struct tls_peer *peer = ssl ? tls_peer_of(ssl) : NULL;

	if (!ssl)
		return;
	/* Without this flag libssl takes the session for one that broke and forgets it. */
	SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(ssl);
	peer_free(peer);
	ERR_clear_error();
}
