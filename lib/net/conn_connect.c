/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that we make.  Addresses are tried one after the other; names are resolved on a worker, since getaddrinfo blocks. */
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/conn_inside.h"

#define CONNECT_TIMEOUT_MS 30000

static const struct conn_ops silent;
static struct pool *resolvers;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct resolution {
	struct job job;
	struct loop *loop;
	uint64_t conn_id;
	char *host;
	int port;
	struct addrinfo *found;
	int error;
};

static void
make_resolvers(void)
{
	resolvers = pool_new("resolve", 2, 1024);
}

static void
keep_peer(struct conn *conn, const struct sockaddr *address)
{
	if (address->sa_family == AF_INET6) {
		memcpy(&conn->peer, address, sizeof(conn->peer));
	} else if (address->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, address, sizeof(v4));
		conn->peer.sin6_family = AF_INET6;
		conn->peer.sin6_port = v4.sin_port;
		conn->peer.sin6_addr.s6_addr[10] = conn->peer.sin6_addr.s6_addr[11] = 0xff;
		memcpy(conn->peer.sin6_addr.s6_addr + 12, &v4.sin_addr, 4);
	}
}

/* Begin to connect; the watch tells when it is done. */
static int
connect_to(struct conn *conn, const struct sockaddr *address, socklen_t len)
{
	int one = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, address, len) < 0 && errno != EINPROGRESS && errno != EAGAIN) {
		int number = errno;

		close(fd);
		errno = number;
		return -1;
	}
	keep_peer(conn, address);
	conn->fd = fd;
	watch_init(&conn->watch, conn->loop, fd, conn->watch.ready);
	if (conn->ssl)
		SSL_set_fd(conn->ssl, fd);
	watch_set(&conn->watch, WATCH_WRITE);
	return 0;
}

static void
on_resolved(struct job *job)
{
	struct resolution *r = CONTAINER_OF(job, struct resolution, job);
	struct conn *conn = conn_find(r->loop, r->conn_id);
	int number = 0;

	if (conn && r->error != 0) {
		OWN_TEXT why = mem_textf("%s: %s", r->host, gai_strerror(r->error));

		conn_die(conn, why);
	} else if (conn) {
		struct addrinfo *at = r->found;

		while (at && connect_to(conn, at->ai_addr, at->ai_addrlen) < 0) {
			number = errno;
			at = at->ai_next;
		}
		if (!at)
			conn_die(conn, strerror(number));
	}
	if (r->found)
		freeaddrinfo(r->found);
	mem_free(r->host);
	mem_free(r);
}

static void
resolve(struct job *job)
{
	struct resolution *r = CONTAINER_OF(job, struct resolution, job);
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	char port[16];

	snprintf(port, sizeof(port), "%d", r->port);
	r->error = getaddrinfo(r->host, port, &hints, &r->found);
	if (r->error != 0) {
		hints.ai_flags = AI_NUMERICHOST; /* an address is good without any interface configured */
		r->error = getaddrinfo(r->host, port, &hints, &r->found) == 0 ? 0 : r->error;
	}
}

static int
start_resolving(struct conn *conn, const struct conn_target *target, struct err *err)
{
	struct resolution *r = NEW(resolution);

	pthread_once(&once, make_resolvers);
	r->job = (struct job){ .run = resolve, .done = on_resolved, .owner = loop_owner(conn->loop) };
	r->loop = conn->loop;
	r->conn_id = conn->id;
	r->host = mem_text(target->connect_to ? target->connect_to : target->host);
	r->port = target->port;
	if (pool_try(resolvers, &r->job))
		return 0;
	mem_free(r->host);
	mem_free(r);
	return err_set(err, ERR_LIMIT, "too many names to resolve at a time");
}

static int
connect_unix(struct conn *conn, const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_LIMIT, "%s: longer than the %zu characters that a unix socket's path may have", path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	return connect_to(conn, (struct sockaddr *)&address, sizeof(address)) < 0 ? err_errno(err, "%s", path) : 0;
}

static void
on_timeout(struct timer *timer)
{
	struct conn_opening *opening = CONTAINER_OF(timer, struct conn_opening, timer);

	conn_die(opening->conn, opening->conn->state == CONN_CONNECTING ? "no answer in time" : "the TLS handshake took too long");
}

struct conn *
conn_connect(struct loop *loop, const struct conn_target *target, const struct conn_ops *ops, void *user, struct err *err)
{
	struct conn *conn = conn_new(loop, -1, ops, user);
	int status;

	conn->opening = NEW(conn_opening);
	conn->opening->conn = conn;
	timer_init(&conn->opening->timer, loop, on_timeout);
	timer_arm(&conn->opening->timer, target->timeout_ms > 0 ? target->timeout_ms : CONNECT_TIMEOUT_MS);
	if (target->tls)
		conn->ssl = tls_client_ssl(target->tls, target->host, &conn->verdict);
	status = target->unix_path ? connect_unix(conn, target->unix_path, err) : start_resolving(conn, target, err);
	if (status < 0) {
		conn->ops = &silent; /* the caller hears of it by our result */
		conn_die(conn, "");
		return NULL;
	}
	return conn;
}
