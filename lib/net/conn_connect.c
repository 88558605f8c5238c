/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that we make.  A name may have several addresses: each gets its share of the time that is left, and the last one's failure is the reason told. */
#include <assert.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/conn_inside.h"
#include "net/resolve.h"

#define CONNECT_TIMEOUT_MS 30000
#define WORKERS 2
#define WORKERS_QUEUE_MAX 1024

/* A client's key may be in another process: where a client has one, its handshakes may block and have threads of their own; and where many share a loop, one after the other would keep it. */
static struct pool *workers;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_workers(void)
{
	workers = pool_new("tls-client", WORKERS, WORKERS_QUEUE_MAX);
}

/* Begin to connect; the watch tells when it is done. */
static int
begin(struct conn *conn, const struct sockaddr *address, socklen_t len)
{
	struct sockaddr_storage copy = { 0 };
	int one = 1, number, fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (address->sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, address, len) < 0 && errno != EINPROGRESS) {
		number = errno;
		close(fd);
		errno = number;
		return -1;
	}
	memcpy(&copy, address, len);
	conn_keep_peer(conn, &copy);
	watch_init(&conn->watch, conn->loop, fd, conn->watch.ready);
	watch_set(&conn->watch, WATCH_WRITE);
	return 0;
}

static void
give_up(struct conn *conn)
{
	watch_set(&conn->watch, 0);
	if (conn->watch.fd >= 0)
		close(conn->watch.fd);
	conn->watch.fd = -1;
}

static void
try_next(struct conn *conn, const char *why)
{
	struct conn_phase *phase = conn->phase;

	give_up(conn);
	while (phase->next) {
		struct addrinfo *at = phase->next;
		int64_t left = phase->deadline_ms - clock_boot_ms(), n = 0;

		for (struct addrinfo *a = at; a; a = a->ai_next)
			n++;
		phase->next = at->ai_next;
		if (begin(conn, at->ai_addr, at->ai_addrlen) == 0) {
			timer_arm(&phase->timer, left / n);
			return;
		}
		why = strerror(errno);
	}
	conn_die(conn, why);
}

void
conn_connect_late(struct conn *conn)
{
	try_next(conn, "no answer in time");
}

static void
begin_tls(struct conn *conn)
{
	SSL_set_fd(conn->ssl, conn->watch.fd);
	conn->state = CONN_HANDSHAKE;
	conn_handshake_step(conn);
}

void
conn_connect_ready(struct conn *conn)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(conn->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		try_next(conn, strerror(error));
		return;
	}
	watch_set(&conn->watch, 0);
	if (!conn->ssl) {
		conn_opened(conn);
		return;
	}
	timer_arm(&conn->phase->timer, conn->phase->deadline_ms - clock_boot_ms());
	begin_tls(conn);
}

static void
use_addresses(struct conn *conn, struct addrinfo *found_take)
{
	conn->phase->found = conn->phase->next = found_take;
	try_next(conn, "no address");
}

void
conn_resolved(struct conn *conn, struct addrinfo *found_take, int error)
{
	if (error == 0) {
		use_addresses(conn, found_take);
		return;
	}
	conn_die(conn, gai_strerror(error));
}

static int
connect_unix(struct conn *conn, const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_LIMIT, "%s: longer than the %zu characters that a unix socket's path may have", path,
			sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	return begin(conn, (struct sockaddr *)&address, sizeof(address)) < 0 ? err_errno(err, "%s", path) : 0;
}

static int
connect_tcp(struct conn *conn, const struct conn_target *target, struct err *err)
{
	const char *where = target->connect_to ? target->connect_to : target->host;
	struct addrinfo *literal = resolve_literal(where, target->port);

	if (!literal)
		return resolve_start(conn, where, target->port, err);
	use_addresses(conn, literal);
	return 0;
}

static void
set_tls(struct conn *conn, struct tls_client *tls, const char *host, bool has_neighbours)
{
	conn->ssl = tls_client_ssl(tls, host, &conn->verdict);
	if (!has_neighbours && !tls_client_has_key(tls))
		return;
	pthread_once(&once, make_workers);
	conn->phase->pool = workers;
}

struct conn *
conn_connect(struct loop *loop, const struct conn_target *target, const struct conn_ops *ops, void *user, struct err *err)
{
	struct conn *conn = conn_new(loop, -1, ops, user);
	int status;

	conn_phase_start(conn, target->timeout_ms > 0 ? target->timeout_ms : CONNECT_TIMEOUT_MS);
	if (target->tls)
		set_tls(conn, target->tls, target->host, target->has_neighbours);
	status = target->unix_path ? connect_unix(conn, target->unix_path, err) : connect_tcp(conn, target, err);
	if (status < 0) {
		conn->ops = &conn_silent_ops; /* the caller hears of it by our result */
		conn_die(conn, "");
		return NULL;
	}
	return conn;
}

void
conn_start_tls(struct conn *conn, struct tls_client *tls, const char *host, int64_t timeout_ms, bool has_neighbours)
{
	assert(conn->state == CONN_OPEN && !conn->ssl && conn->out.len == 0);
	conn_phase_start(conn, timeout_ms);
	set_tls(conn, tls, host, has_neighbours);
	watch_set(&conn->watch, 0);
	begin_tls(conn);
}
