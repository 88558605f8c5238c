/* SPDX-License-Identifier: Apache-2.0 */
/* A look at a TLS server.  The handshake is done without verifying, since the caller judges what was shown; so this connection is good for nothing else and is
 * closed at once.  It is done as every client of ours does it, and only when that fails once more with everything let in, to see what the server would have
 * liked.  What does not answer in TLS at all is greeted in plain MQTT, without a name, the most frequent mistake being the port beside; the same greeting, in TLS, shows
 * whether what is taken for an MQTT port is one. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/probe.h"
#include "net/tls_inside.h"

#define TIMEOUT_MS 10000
#define GOODBYE_MS 1000 /* how long a server may think about our certificate */
#define MQTT_WAIT_MS 2000
#define READ_MAX 65536 /* of what nobody asked for */
#define ANSWER_SHOWN 32
#define CONNACK_HEAD 2

struct looking {
	struct probe *probe;
	const struct probe_target *target;
	int64_t deadline_ms;
	int fd;
	SSL *ssl;
	bool lenient, late;
};

static void
failed(struct probe *probe, enum reason reason, char *why_take)
{
	probe->reason = reason;
	mem_free(probe->why);
	probe->why = why_take;
}

void
probe_clear(struct probe *probe)
{
	certs_clear(&probe->sent);
	mem_free(probe->address);
	mem_free(probe->version);
	mem_free(probe->cipher);
	mem_free(probe->why);
	mem_free(probe->no_mqtt);
	*probe = (struct probe){ .reason = OK };
}

static void
set_deadline(struct looking *look, int64_t at_most_ms)
{
	int64_t end = clock_boot_ms() + at_most_ms;

	if (end < look->deadline_ms)
		look->deadline_ms = end;
}

/* False when the time is over. */
static bool
wait_until(const struct looking *look, short what, int64_t deadline_ms)
{
	struct pollfd pfd = { .fd = look->fd, .events = what };
	int64_t left = deadline_ms - clock_boot_ms();

	return left > 0 && poll(&pfd, 1, (int)left) > 0;
}

static bool
wait_fd(const struct looking *look, short what)
{
	return wait_until(look, what, look->deadline_ms);
}

/* -- TCP ---------------------------------------------------------------------------------------------------------------------------- */

static char *
address_text(const struct addrinfo *at)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return mem_text("?");
	return mem_textf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static void
hang_up(struct looking *look)
{
	if (look->fd >= 0)
		close(look->fd);
	look->fd = -1;
}

/* 0, or what errno would say. */
static int
connect_one(struct looking *look, const struct addrinfo *at, int64_t deadline_ms)
{
	int error = 0;
	socklen_t len = sizeof(error);

	look->fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (look->fd < 0)
		return errno;
	if (connect(look->fd, at->ai_addr, at->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (!wait_until(look, POLLOUT, deadline_ms))
		return ETIMEDOUT;
	getsockopt(look->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

/* Each address gets its share of the time that is left, as in net/conn_connect.c. */
static bool
connect_any(struct looking *look, const struct addrinfo *found)
{
	int64_t n = 0;

	for (const struct addrinfo *at = found; at; at = at->ai_next)
		n++;
	for (const struct addrinfo *at = found; at; at = at->ai_next, n--) {
		int64_t now = clock_boot_ms();
		OWN_TEXT address = address_text(at);
		int error = connect_one(look, at, now + (look->deadline_ms - now) / n);

		if (error == 0) {
			mem_free(look->probe->address);
			look->probe->address = GIVE(address);
			return true;
		}
		hang_up(look);
		failed(look->probe, CONNECT_FAILED, mem_textf("%s: %s", address, strerror(error)));
	}
	return false;
}

static bool
open_tcp(struct looking *look)
{
	const char *host = look->target->connect_to ? look->target->connect_to : look->target->host;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *found = NULL;
	OWN_TEXT port = mem_textf("%d", look->target->port);
	int status = getaddrinfo(host, port, &hints, &found);
	bool done;

	if (status != 0) {
		failed(look->probe, NAME_NOT_RESOLVED, mem_textf("%s: %s", host, gai_strerror(status)));
		return false;
	}
	done = connect_any(look, found);
	freeaddrinfo(found);
	if (done)
		failed(look->probe, OK, NULL); /* an earlier address may have failed */
	return done;
}

/* -- No TLS -------------------------------------------------------------------------------------------------------------------------- */

/* An MQTT 3.1.1 CONNECT with an empty client id is answered by CONNACK whatever the broker thinks of it. */
static const uint8_t hello[] = { 0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 10, 0, 0 };

static bool
is_connack(const uint8_t head[static CONNACK_HEAD])
{
	return head[0] == 0x20 && head[1] == 2;
}

/* Is it an MQTT broker's plain port? */
static bool
speaks_mqtt(struct looking *look)
{
	uint8_t answer[CONNACK_HEAD] = { 0 };

	hang_up(look);
	set_deadline(look, MQTT_WAIT_MS);
	return open_tcp(look) && send(look->fd, hello, sizeof(hello), MSG_NOSIGNAL) == (ssize_t)sizeof(hello) &&
	       wait_fd(look, POLLIN) && recv(look->fd, answer, sizeof(answer), 0) == (ssize_t)sizeof(answer) && is_connack(answer);
}

static char *
shown(const uint8_t *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && bytes[n] >= ' ' && bytes[n] <= '~')
		n++;
	if (n == 0)
		return mem_textf("its answer begins with the byte 0x%02x", bytes[0]);
	return mem_textf("its answer begins with '%.*s'", (int)n, (const char *)bytes);
}

/* The first bytes of the answer, before libssl has them.  True when they may be TLS: a handshake or alert record. */
static bool
answers_in_tls(struct looking *look)
{
	uint8_t first[ANSWER_SHOWN];
	ssize_t n = recv(look->fd, first, sizeof(first), MSG_PEEK);

	if (n > 0 && (first[0] == 0x16 || first[0] == 0x15))
		return true;
	if (n > 0)
		failed(look->probe, TLS_PLAIN_TEXT, shown(first, (size_t)n));
	else if (speaks_mqtt(look))
		failed(look->probe, TLS_PLAIN_TEXT, mem_text("it speaks MQTT without TLS"));
	else
		failed(look->probe, TLS_FAILED, mem_text("it closed the connection when it was greeted in TLS"));
	return false;
}

/* -- TLS ----------------------------------------------------------------------------------------------------------------------------- */

static int
on_cert_asked(SSL *ssl, void *arg)
{
	const struct looking *look = arg;
	const struct cert *only_to = look->target->only_to;
	X509 *server = SSL_get0_peer_certificate(ssl);

	look->probe->asks_client_cert = true;
	return !only_to || (server && X509_cmp(server, cert_x509(only_to)) == 0);
}

/* Once it has asked for a certificate, whatever the server objects to is the one it got, or that it got none. */
static void
tell_alert(struct looking *look, const char *why)
{
	enum reason refused = look->target->chain ? CLIENT_CERT_REFUSED : CLIENT_CERT_WANTED;

	failed(look->probe, look->probe->asks_client_cert ? refused : TLS_FAILED, mem_text(why));
}

static void
tell_ssl(struct looking *look, int error)
{
	char why[TLS_FAILURE_LEN];

	if (tls_failure(error, errno, why))
		tell_alert(look, why);
	else
		failed(look->probe, TLS_FAILED, mem_text(why));
}

/* The greeting goes out, and libssl finds nothing to read: the answer is first looked at here. */
static void
greet(struct looking *look)
{
	BIO *nothing = BIO_new(BIO_s_mem());

	BIO_set_mem_eof_return(nothing, -1);
	SSL_set_wfd(look->ssl, look->fd);
	SSL_set0_rbio(look->ssl, nothing);
	SSL_do_handshake(look->ssl);
	SSL_set_rfd(look->ssl, look->fd);
}

/* True when it is through. */
static bool
shake_hands(struct looking *look)
{
	int result, error = SSL_ERROR_WANT_READ;

	greet(look);
	look->late = !wait_fd(look, POLLIN);
	if (!look->late && !answers_in_tls(look))
		return false;
	while (!look->late) {
		ERR_clear_error();
		errno = 0;
		result = SSL_do_handshake(look->ssl);
		if (result == 1)
			return true;
		error = SSL_get_error(look->ssl, result);
		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
			tell_ssl(look, error);
			return false;
		}
		look->late = !wait_fd(look, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
	}
	failed(look->probe, TLS_FAILED, mem_text("the server did not answer in time"));
	return false;
}

/* A server of TLS 1.3 refuses a certificate after the handshake.  It answers in order: what it has to say comes before its answer to our goodbye. */
static void
hear_out(struct looking *look)
{
	uint8_t piece[4096];
	char why[TLS_FAILURE_LEN];
	size_t n = 0;
	int result, error;

	set_deadline(look, GOODBYE_MS);
	ERR_clear_error();
	SSL_shutdown(look->ssl);
	do {
		ERR_clear_error();
		errno = 0;
		result = SSL_read(look->ssl, piece, sizeof(piece));
		error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(look->ssl, result);
		n += sizeof(piece);
	} while (n < READ_MAX && (error == SSL_ERROR_NONE || (error == SSL_ERROR_WANT_READ && wait_fd(look, POLLIN))));
	if (tls_failure(error, 0, why)) /* anything else is the end that we asked for */
		tell_alert(look, why);
}

/* What libssl wants to wait for; false: it wants nothing, or the time is over. */
static bool
wait_ssl(struct looking *look, int error)
{
	bool wants = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;

	look->late = wants && !wait_fd(look, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
	return wants && !look->late;
}

static int
say_hello(struct looking *look)
{
	int result, error;

	do {
		ERR_clear_error();
		errno = 0;
		result = SSL_write(look->ssl, hello, sizeof(hello));
		error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(look->ssl, result);
	} while (result <= 0 && wait_ssl(look, error));
	return error;
}

/* At most ANSWER_SHOWN bytes of it, *n in the end; as many as tell a CONNACK, if they come. */
static int
read_answer(struct looking *look, uint8_t answer[static ANSWER_SHOWN], size_t *n)
{
	int result, error;

	do {
		ERR_clear_error();
		errno = 0;
		result = SSL_read(look->ssl, answer + *n, (int)(ANSWER_SHOWN - *n));
		error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(look->ssl, result);
		*n += result > 0 ? (size_t)result : 0;
	} while (*n < CONNACK_HEAD && (result > 0 || wait_ssl(look, error)));
	return error;
}

/* A server that demands a certificate ends the connection at the first word: then nothing is known of MQTT. */
static void
ask_mqtt(struct looking *look)
{
	uint8_t answer[ANSWER_SHOWN] = { 0 };
	char why[TLS_FAILURE_LEN];
	size_t n = 0;
	int error = say_hello(look);

	if (error == SSL_ERROR_NONE)
		error = read_answer(look, answer, &n);
	if (n >= CONNACK_HEAD && is_connack(answer))
		return;
	if (n > 0)
		look->probe->no_mqtt = shown(answer, n);
	else if (look->probe->asks_client_cert && tls_failure(error, errno, why))
		tell_alert(look, why);
	else
		look->probe->no_mqtt = mem_text(look->late ? "it did not answer in time when it was greeted in MQTT"
							   : "it closed the connection when it was greeted in MQTT");
}

static void
keep_certificates(struct looking *look)
{
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(look->ssl);

	for (int i = 0; i < sk_X509_num(sent); i++) {
		OWN(cert) cert = cert_from_x509(sk_X509_value(sent, i));

		certs_add(&look->probe->sent, cert);
	}
}

static void
handshake(struct looking *look)
{
	struct probe *probe = look->probe;
	bool done = shake_hands(look);

	keep_certificates(look);
	if (!done)
		return;
	probe->proven = probe->sent.n > 0;
	probe->version = mem_text(SSL_get_version(look->ssl));
	probe->cipher = mem_text(SSL_get_cipher_name(look->ssl));
	if (probe->sent.n == 0) {
		failed(probe, TLS_NO_CERTIFICATE, mem_text("a handshake without a certificate"));
		return;
	}
	if (look->target->asks_mqtt && !look->lenient)
		ask_mqtt(look);
	if (probe->asks_client_cert && probe->reason == OK)
		hear_out(look);
}

static void
let_everything_in(SSL_CTX *ctx)
{
	char groups[] = "X25519:P-256:P-384:P-521:X448:ffdhe2048:ffdhe3072:ffdhe4096"; /* OpenSSL's macro drops a const */

	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	SSL_CTX_set_cipher_list(ctx, "ALL:COMPLEMENTOFALL:@SECLEVEL=0");
	SSL_CTX_set1_groups_list(ctx, groups);
	SSL_CTX_set_max_cert_list(ctx, 1024 * 1024);
	SSL_CTX_set_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT);
}

static void
look_at(struct looking *look)
{
	const struct certs *chain = look->target->chain;
	SSL_CTX *ctx = tls_ctx_new(TLS_client_method());
	struct err err = ERR_INIT;

	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (look->lenient)
		let_everything_in(ctx);
	if (chain && tls_use_certificate(ctx, chain, look->target->key, &err) < 0) {
		failed(look->probe, KEY_MISMATCH, mem_text(err.text));
	} else {
		look->ssl = SSL_new(ctx);
		SSL_set_cert_cb(look->ssl, on_cert_asked, look);
		tls_set_sni(look->ssl, look->target->host);
		SSL_set_connect_state(look->ssl);
		handshake(look);
		SSL_free(look->ssl);
	}
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

/* True when a second, lenient look may show more. */
static bool
look_once(struct probe *probe, const struct probe_target *target, bool lenient)
{
	struct looking look = { .probe = probe, .target = target, .fd = -1, .lenient = lenient };

	*probe = (struct probe){ .reason = OK };
	look.deadline_ms = clock_boot_ms() + (target->timeout_ms > 0 ? target->timeout_ms : TIMEOUT_MS);
	if (open_tcp(&look))
		look_at(&look);
	hang_up(&look);
	return probe->reason == TLS_FAILED && !look.late;
}

/* The second look found what the server would agree on; that is refused for what the first one said. */
static void
prefer_second(struct probe *probe, struct probe *second)
{
	bool is_old = strcmp(second->version, "TLSv1.2") != 0 && strcmp(second->version, "TLSv1.3") != 0;
	char *why = is_old ? mem_text(second->version)
			   : mem_textf("it agrees on %s with %s only (%s)", second->version, second->cipher, probe->why);

	if (second->reason == OK)
		failed(second, is_old ? TLS_OLD_VERSION : TLS_FAILED, why);
	else
		mem_free(why);
	probe_clear(probe);
	*probe = *second;
}

void
probe_run(struct probe *probe, const struct probe_target *target)
{
	struct probe second;

	if (!look_once(probe, target, false) || target->chain)
		return;
	look_once(&second, target, true);
	if (second.version)
		prefer_second(probe, &second);
	else
		probe_clear(&second);
}
