/* SPDX-License-Identifier: Apache-2.0 */
/* TLS contexts of clients.  The server's chain and name are judged inside the handshake by pki/chain, the same decision as everywhere, before a byte of ours or our own
 * certificate leaves; the verdict is kept for whoever asks. */
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/tls_inside.h"
#include "wire/uri.h"

struct tls_client {
	SSL_CTX *ctx;
	struct anchors *anchors;
	struct key *key;
	char *who;
	atomic_int n_refs;
};

static struct verdict *
judge(const struct tls_client *client, const struct cert *leaf, const struct certs *untrusted, const char *host)
{
	OWN_TEXT question = mem_textf("Am I really talking to %s?", host);
	struct verdict *v = verdict_new(client->who, question, host);

	chain_verify(v, client->anchors,
		&(struct chain_query){
			.leaf = leaf, .untrusted = untrusted, .purpose = CHAIN_SERVER, .host = host, .now = clock_wall() });
	return v;
}

struct verdict *
tls_client_judge(const struct tls_client *client, const struct certs *chain, const char *host)
{
	return judge(client, chain->item[0], chain, host);
}

static int
on_server(X509_STORE_CTX *ctx, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct tls_expected *expected = tls_peer_of(ssl)->expected;
	OWN(cert) leaf = cert_from_x509(X509_STORE_CTX_get0_cert(ctx));
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(ctx);
	struct certs untrusted = { 0 };
	struct verdict *v;
	bool accepted;

	(void)arg;
	for (int i = 0; i < sk_X509_num(sent); i++) {
		OWN(cert) cert = cert_from_x509(sk_X509_value(sent, i));

		certs_add(&untrusted, cert);
	}
	v = judge(expected->client, leaf, &untrusted, expected->host);
	certs_clear(&untrusted);
	accepted = verdict_accepted(v);
	X509_STORE_CTX_set_error(ctx, accepted ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
	verdict_free(*expected->verdict);
	*expected->verdict = v;
	return accepted;
}

struct tls_client *
tls_client_new(const struct tls_client_config *config, struct err *err)
{
	OWN(tls_client) client = NEW(tls_client);

	client->n_refs = 1;
	client->ctx = tls_ctx_new(TLS_client_method());
	client->anchors = anchors_ref(config->anchors);
	client->who = mem_text(config->who ? config->who : "client");
	SSL_CTX_set_session_cache_mode(client->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(client->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(client->ctx, on_server, NULL);
	if (!config->chain || config->chain->n == 0)
		return GIVE(client);
	client->key = key_ref(config->key);
	if (tls_use_certificate(client->ctx, config->chain, config->key, err) < 0)
		return NULL;
	return GIVE(client);
}

struct tls_client *
tls_client_ref(struct tls_client *client)
{
	if (client)
		client->n_refs++;
	return client;
}

void
tls_client_free(struct tls_client *client)
{
	if (!client || --client->n_refs > 0)
		return;
	SSL_CTX_free(client->ctx);
	anchors_free(client->anchors);
	key_free(client->key);
	mem_free(client->who);
	mem_free(client);
}

void
tls_expected_free(struct tls_expected *expected)
{
	if (!expected)
		return;
	tls_client_free(expected->client);
	mem_free(expected->host);
	mem_free(expected);
}

bool
tls_client_has_key(const struct tls_client *client)
{
	return client->key != NULL;
}

/* RFC 6066 3: no addresses, and names without the root's dot. */
void
tls_set_sni(SSL *ssl, const char *host)
{
	size_t len = strlen(host);
	OWN_TEXT name = mem_textn(host, len > 1 && host[len - 1] == '.' ? len - 1 : len);

	if (!uri_is_ip(name))
		SSL_set_tlsext_host_name(ssl, name);
}

SSL *
tls_client_ssl(struct tls_client *client, const char *host, struct verdict **verdict)
{
	SSL *ssl = SSL_new(client->ctx);
	struct tls_expected *expected = NEW(tls_expected);

	expected->client = tls_client_ref(client);
	expected->host = mem_text(host);
	expected->verdict = verdict;
	tls_peer_attach(ssl)->expected = expected;
	tls_set_sni(ssl, host);
	SSL_set_connect_state(ssl);
	return ssl;
}
