/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of net share: a loop that is run until something is true, a small PKI, and a peer made of libssl alone. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/loop.h"
#include "pki/issue.h"
#include "t.h"

#define PATIENCE_MS 10000

/* -- Running a loop until ... -------------------------------------------------------------------------------------------------------- */

struct until {
	struct timer timer;
	struct loop *loop;
	bool (*is_done)(void *arg);
	void *arg;
	int64_t deadline;
	bool late;
};

static inline void
until_look(struct timer *timer)
{
	struct until *u = CONTAINER_OF(timer, struct until, timer);

	u->late = clock_boot_ms() > u->deadline;
	if (u->late || u->is_done(u->arg))
		loop_stop(u->loop);
	else
		timer_arm(&u->timer, 1);
}

/* Runs the loop; false when it did not become true in time. */
static inline bool
until(struct loop *loop, bool (*is_done)(void *arg), void *arg)
{
	struct until u = { .loop = loop, .is_done = is_done, .arg = arg, .deadline = clock_boot_ms() + PATIENCE_MS };

	timer_init(&u.timer, loop, until_look);
	timer_arm(&u.timer, 0);
	loop_run(loop);
	timer_cancel(&u.timer);
	return !u.late;
}

static inline bool
until_true(void *arg)
{
	return *(volatile bool *)arg;
}

static inline bool
until_never(void *arg)
{
	return clock_boot_ms() > *(int64_t *)arg;
}

/* Gives whatever may still come the time to come. */
static inline void
run_for(struct loop *loop, int64_t ms)
{
	int64_t end = clock_boot_ms() + ms;

	until(loop, until_never, &end);
}

/* -- A small PKI ---------------------------------------------------------------------------------------------------------------------- */

struct pki {
	struct key *root_key, *server_key, *device_key, *other_key;
	struct cert *root, *server, *device, *other_root;
	struct certs roots, other_roots, server_chain, device_chain;
	struct anchors *anchors, *other_anchors;
};

static inline struct cert *
pki_issue(const struct profile *profile, const struct key *key, const struct cert *issuer, const struct key *issuer_key)
{
	struct err err = ERR_INIT;
	struct cert *cert = issue_cert(profile, key_pkey(key), &(struct issuer){ .cert = issuer, .key = issuer_key }, &err);

	if (!cert)
		fail_msg("%s", err.text);
	return cert;
}

static inline struct cert *
pki_issue_for(enum issue_kind kind, const char *common_name, const char *name, const struct key *key, const struct cert *issuer,
	const struct key *issuer_key)
{
	struct profile profile = { .kind = kind,
		.common_name = common_name,
		.path_len = -1,
		.not_before = clock_wall() - 60,
		.not_after = clock_wall() + 86400 };

	if (name)
		profile.names[profile.n_names++] = name;
	return pki_issue(&profile, key, issuer, issuer_key);
}

static inline struct pki *
pki(void)
{
	static struct pki p;
	struct err err = ERR_INIT;

	if (p.root)
		return &p;
	p.root_key = key_generate(KEY_EC_P256, &err);
	p.server_key = key_generate(KEY_EC_P256, &err);
	p.device_key = key_generate(KEY_EC_P256, &err);
	p.other_key = key_generate(KEY_EC_P256, &err);
	p.root = pki_issue_for(ISSUE_ROOT, "root", NULL, p.root_key, NULL, p.root_key);
	p.other_root = pki_issue_for(ISSUE_ROOT, "other root", NULL, p.other_key, NULL, p.other_key);
	p.server = pki_issue_for(ISSUE_SERVER, "hub", "localhost", p.server_key, p.root, p.root_key);
	p.device = pki_issue_for(ISSUE_DEVICE, "dev1", NULL, p.device_key, NULL, p.device_key);
	certs_add(&p.roots, p.root);
	certs_add(&p.other_roots, p.other_root);
	certs_add(&p.server_chain, p.server);
	certs_add(&p.device_chain, p.device);
	p.anchors = anchors_new(&p.roots, &err);
	p.other_anchors = anchors_new(&p.other_roots, &err);
	assert_non_null(p.anchors);
	assert_non_null(p.other_anchors);
	return &p;
}

static inline struct tls_holder *
server_tls(const char *scope, struct tls_cache *cache)
{
	struct err err = ERR_INIT;
	struct tls_server *server = tls_server_new(&(struct tls_server_config){ .chain = &pki()->server_chain,
							   .key = pki()->server_key,
							   .ask_client_cert = true,
							   .session_scope = scope,
							   .cache = cache },
		&err);

	if (!server)
		fail_msg("%s", err.text);
	return tls_holder_new(server);
}

static inline struct tls_client *
client_tls(struct anchors *anchors, bool with_certificate)
{
	struct err err = ERR_INIT;
	struct tls_client *client = tls_client_new(&(struct tls_client_config){ .anchors = anchors,
							   .chain = with_certificate ? &pki()->device_chain : NULL,
							   .key = with_certificate ? pki()->device_key : NULL },
		&err);

	if (!client)
		fail_msg("%s", err.text);
	return client;
}

/* -- Plain sockets -------------------------------------------------------------------------------------------------------------------- */

static inline int
plain_connect(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline int
unix_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* What arrives on a descriptor, gathered without blocking. */
struct gather {
	int fd;
	char text[1 << 17];
	size_t len;
	bool ended, reset;
	const char *want; /* done when this is in there; NULL: when the stream has ended */
};

static inline bool
gather_is_done(void *arg)
{
	struct gather *g = arg;
	ssize_t n;

	while ((n = recv(g->fd, g->text + g->len, sizeof(g->text) - 1 - g->len, MSG_DONTWAIT)) > 0)
		g->len += (size_t)n;
	g->text[g->len] = '\0';
	g->ended = g->ended || n == 0 || (n < 0 && errno != EAGAIN);
	g->reset = g->reset || (n < 0 && errno == ECONNRESET);
	return g->ended || (g->want && strstr(g->text, g->want));
}

/* -- A peer made of libssl alone ------------------------------------------------------------------------------------------------------ */

struct peer {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd, result, error;
	SSL_SESSION *session; /* the newest that was given out */
	char text[4096];
	size_t len;
	const char *want;
};

static inline int
peer_on_session(SSL *ssl, SSL_SESSION *session)
{
	struct peer *p = SSL_get_app_data(ssl);

	SSL_SESSION_free(p->session);
	p->session = session;
	return 1;
}

static inline void
peer_init(struct peer *p, int version, bool with_certificate)
{
	*p = (struct peer){ .ctx = SSL_CTX_new(TLS_client_method()), .fd = -1 };
	SSL_CTX_set_min_proto_version(p->ctx, version);
	SSL_CTX_set_max_proto_version(p->ctx, version);
	SSL_CTX_set_session_cache_mode(p->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(p->ctx, peer_on_session);
	if (!with_certificate)
		return;
	SSL_CTX_use_certificate(p->ctx, cert_x509(pki()->device));
	SSL_CTX_use_PrivateKey(p->ctx, key_pkey(pki()->device_key));
}

static inline void
peer_connect(struct peer *p, int port, SSL_SESSION *session)
{
	p->fd = plain_connect(port);
	fcntl(p->fd, F_SETFL, O_NONBLOCK);
	p->ssl = SSL_new(p->ctx);
	p->len = 0;
	p->text[0] = '\0';
	SSL_set_app_data(p->ssl, p);
	SSL_set_fd(p->ssl, p->fd);
	SSL_ctrl(p->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t) "localhost");
	if (session)
		SSL_set_session(p->ssl, session);
	SSL_set_connect_state(p->ssl);
}

static inline bool
peer_is_over(struct peer *p)
{
	p->error = p->result == 1 ? SSL_ERROR_NONE : SSL_get_error(p->ssl, p->result);
	ERR_clear_error();
	return p->error != SSL_ERROR_WANT_READ && p->error != SSL_ERROR_WANT_WRITE;
}

static inline bool
peer_has_shaken_hands(void *arg)
{
	struct peer *p = arg;

	p->result = SSL_do_handshake(p->ssl);
	return peer_is_over(p);
}

/* Reads until `want` is in the text, or the end. */
static inline bool
peer_has_read(void *arg)
{
	struct peer *p = arg;
	size_t n;

	while ((p->result = SSL_read_ex(p->ssl, p->text + p->len, sizeof(p->text) - 1 - p->len, &n)) == 1) {
		p->len += n;
		p->text[p->len] = '\0';
	}
	return peer_is_over(p) || (p->want && strstr(p->text, p->want));
}

static inline void
peer_close(struct peer *p)
{
	if (p->ssl)
		SSL_free(p->ssl);
	if (p->fd >= 0)
		close(p->fd);
	p->ssl = NULL;
	p->fd = -1;
}

static inline void
peer_clear(struct peer *p)
{
	peer_close(p);
	SSL_SESSION_free(p->session);
	SSL_CTX_free(p->ctx);
}
