/* SPDX-License-Identifier: Apache-2.0 */
#include "net/test_fixture.h"
#include "net/tls_names.h"
#include "pki/story.h"

static struct made
leaf_for(const char *names)
{
	return story_crooked((struct crooked){ .common_name = "gateway", .extensions = { "subjectAltName", names } }, NULL);
}

TEST("a name is looked for as it is, in any case and with the root's dot, then as a wildcard of one label")
{
	CLEAR(made) exact = leaf_for("DNS:gw.plant.example,IP:10.0.0.1");
	CLEAR(made) wild = leaf_for("DNS:*.plant.example,DNS:*.com");
	struct tls_names *names = tls_names_new();
	char too_long[400];

	memset(too_long, 'a', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = '\0';
	tls_names_add(names, wild.cert, wild.cert);
	tls_names_add(names, exact.cert, exact.cert);
	assert_ptr_equal(tls_names_find(names, "gw.plant.example"), exact.cert);
	assert_ptr_equal(tls_names_find(names, "GW.Plant.example."), exact.cert);
	assert_ptr_equal(tls_names_find(names, "other.plant.example"), wild.cert);
	assert_null(tls_names_find(names, "a.b.plant.example"));
	assert_null(tls_names_find(names, "plant.example"));
	assert_null(tls_names_find(names, ".plant.example"));
	assert_null(tls_names_find(names, "10.0.0.1"));
	assert_null(tls_names_find(names, "x.com"));
	assert_null(tls_names_find(names, ""));
	assert_null(tls_names_find(names, "."));
	assert_null(tls_names_find(names, too_long));
	tls_names_free(names);
}

TEST("of two certificates for one name the first is shown")
{
	CLEAR(made) first = leaf_for("DNS:gw.example.com,DNS:*.example.com");
	CLEAR(made) second = leaf_for("DNS:gw.example.com,DNS:*.example.com");
	struct tls_names *names = tls_names_new();

	tls_names_add(names, first.cert, first.cert);
	tls_names_add(names, second.cert, second.cert);
	assert_ptr_equal(tls_names_find(names, "gw.example.com"), first.cert);
	assert_ptr_equal(tls_names_find(names, "x.example.com"), first.cert);
	tls_names_free(names);
}

/* -- What a client is shown ------------------------------------------------------------------------------------------------------------- */

static struct tls_server *
server_of(const struct made *leaf, struct tls_server *other, void (*on_name)(void *arg, const char *name), void *arg)
{
	struct err err = ERR_INIT;
	struct certs chain = { 0 };
	struct tls_server *server;

	certs_add(&chain, leaf->cert);
	server = tls_server_new(&(struct tls_server_config){ .chain = &chain,
					.key = leaf->key,
					.ask_client_cert = true,
					.session_scope = "test",
					.on_name = on_name,
					.name_arg = arg,
					.others = &other,
					.n_others = other ? 1 : 0 },
		&err);
	certs_clear(&chain);
	if (!server)
		fail_msg("%s", err.text);
	return server;
}

static void
nothing(struct conn *conn)
{
	(void)conn;
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	(void)conn;
	(void)data;
	return len;
}

static void
on_close(struct conn *conn, const char *why)
{
	(void)conn;
	(void)why;
}

static void
count_name(void *arg, const char *name)
{
	assert_string_equal(name, "unknown.local");
	++*(int *)arg;
}

/* The certificate that whoever asks for this name is shown. */
static struct cert *
shown(struct loop *loop, int port, int version, const char *host)
{
	struct peer peer;
	X509 *x509;
	struct cert *cert;

	peer_init(&peer, version, true);
	peer_connect(&peer, port, NULL);
	SSL_ctrl(peer.ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)host);
	assert_true(until(loop, peer_has_shaken_hands, &peer));
	assert_int_equal(peer.result, 1);
	x509 = SSL_get1_peer_certificate(peer.ssl);
	cert = cert_from_x509(x509);
	X509_free(x509);
	peer_clear(&peer);
	return cert;
}

TEST("a client is shown the certificate that has its name, else the first one, in TLS 1.2 and 1.3; a name that none has is told of")
{
	static const struct conn_ops ops = { .on_open = nothing, .on_data = on_data, .on_close = on_close };
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	CLEAR(made) public = leaf_for("DNS:*.example.com");
	CLEAR(made) plain = leaf_for("DNS:gw.local,DNS:own.example.com");
	int n_asked = 0;
	struct tls_server *other = server_of(&public, NULL, NULL, NULL);
	struct tls_holder *holder = tls_holder_new(server_of(&plain, other, count_name, &n_asked));
	struct loop *loop = loop_new("test");
	struct err err = ERR_INIT;
	struct listener *listener;

	tls_server_free(other); /* the first one holds it */
	listener = listener_open(&loop, 1, &(struct listener_config){ .address = "127.0.0.1", .tls = holder, .ops = &ops }, &err);
	assert_non_null(listener);
	for (size_t i = 0; i < COUNT(versions); i++) {
		int port = listener_port(listener);
		OWN(cert) for_public = shown(loop, port, versions[i], "a.example.com");
		OWN(cert) for_own = shown(loop, port, versions[i], "own.example.com");
		OWN(cert) for_none = shown(loop, port, versions[i], "unknown.local");

		assert_true(cert_is_same(for_public, public.cert));
		assert_true(cert_is_same(for_own, plain.cert));
		assert_true(cert_is_same(for_none, plain.cert));
	}
	assert_int_equal(n_asked, 2);
	listener_close(listener);
	conn_abort_all(loop);
	loop_finish(loop);
	loop_free(loop);
	tls_holder_free(holder);
}
