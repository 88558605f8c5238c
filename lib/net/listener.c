/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners.  One socket a loop on the same port (SO_REUSEPORT), so the kernel spreads connections and no loop waits for another.  Strangers cost what the limits
 * say and no more; out of descriptors, the newest connection is taken with the spare one and dropped, so that the listener neither stalls nor spins. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/conn_inside.h"
#include "net/listener.h"

#define BACKLOG 1024
#define ACCEPTS_A_TURN 64
#define MAX_CONNS 100000
#define OPEN_TIMEOUT_MS 20000

struct ear {
	struct watch watch;
	struct listener *listener;
	struct loop *loop;
	int fd, spare_fd;
};

struct listener {
	struct listener_config config;
	struct ear *ears;
	size_t n_ears;
	int port;
	struct map *per_peer; /* number of connections, as a pointer */
	pthread_mutex_t lock; /* of per_peer */
	atomic_size_t n_conns;
	atomic_int n_refs;    /* the owner's, and one a connection */
};

static void
unref(struct listener *l)
{
	if (--l->n_refs > 0)
		return;
	map_free(l->per_peer);
	pthread_mutex_destroy(&l->lock);
	mem_free(l->ears);
	mem_free(l);
}

/* -- Quotas ------------------------------------------------------------------------------------------------------------------------ */

struct peer_key {
	struct in6_addr address;
	uid_t uid;
};

static struct peer_key
key_of(const struct conn *conn)
{
	struct peer_key key;

	memset(&key, 0, sizeof(key)); /* padding is part of the key */
	key.address = conn->peer.sin6_addr;
	key.uid = conn->process ? conn->process->uid : 0;
	return key;
}

static bool
charge(struct listener *l, const struct conn *conn)
{
	struct peer_key key = key_of(conn);
	uintptr_t n;
	bool good;

	if (l->config.max_per_peer == 0)
		return true;
	pthread_mutex_lock(&l->lock);
	n = (uintptr_t)map_find(l->per_peer, &key, sizeof(key));
	good = n < l->config.max_per_peer;
	if (good)
		map_put(l->per_peer, &key, sizeof(key), (void *)(n + 1));
	pthread_mutex_unlock(&l->lock);
	return good;
}

static void
discharge(struct listener *l, const struct conn *conn)
{
	struct peer_key key = key_of(conn);
	uintptr_t n;

	if (l->config.max_per_peer == 0)
		return;
	pthread_mutex_lock(&l->lock);
	n = (uintptr_t)map_find(l->per_peer, &key, sizeof(key));
	if (n > 1)
		map_put(l->per_peer, &key, sizeof(key), (void *)(n - 1));
	else
		map_remove(l->per_peer, &key, sizeof(key));
	pthread_mutex_unlock(&l->lock);
}

void
listener_conn_closed(struct listener *l, struct conn *conn)
{
	l->n_conns--;
	discharge(l, conn);
	unref(l);
}

/* -- Accepting --------------------------------------------------------------------------------------------------------------------- */

static void
keep_process(struct conn *conn)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int pidfd = -1;
	socklen_t pidfd_len = sizeof(pidfd);

	if (getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return;
	/* SO_PEERPIDFD names the very process that connected; opening by number could meet another one (atk-14). */
	if (getsockopt(conn->fd, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &pidfd_len) < 0)
		pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	conn->pidfd = pidfd;
	conn->process = NEW(peer_process);
	*conn->process = (struct peer_process){ .uid = cred.uid, .gid = cred.gid, .pid = cred.pid, .pidfd = pidfd };
}

static void
keep_address(struct conn *conn, const struct sockaddr_storage *address)
{
	struct sockaddr_in v4;

	if (address->ss_family == AF_INET6) {
		memcpy(&conn->peer, address, sizeof(conn->peer));
		return;
	}
	memcpy(&v4, address, sizeof(v4));
	conn->peer.sin6_family = AF_INET6;
	conn->peer.sin6_port = v4.sin_port;
	memset(conn->peer.sin6_addr.s6_addr + 10, 0xff, 2);
	memcpy(conn->peer.sin6_addr.s6_addr + 12, &v4.sin_addr, 4);
}

static const struct conn_ops silent;

static void
take(struct ear *ear, int fd, const struct sockaddr_storage *address)
{
	struct listener *l = ear->listener;
	struct conn *conn = conn_new(ear->loop, fd, l->config.ops, NULL);
	int one = 1;

	if (address->ss_family == AF_UNIX)
		keep_process(conn);
	else
		keep_address(conn, address);
	if (++l->n_conns > l->config.max_conns || !charge(l, conn)) {
		l->n_conns--;
		conn->ops = &silent; /* on_accept was not called, so on_close must not be */
		conn_die(conn, "too many connections");
		return;
	}
	l->n_refs++;
	conn->listener = l;
	if (address->ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (l->config.tls) {
		struct tls_server *server = tls_holder_get(l->config.tls);

		conn->ssl = tls_server_ssl(server);
		tls_server_free(server);
	}
	if (l->config.on_accept)
		l->config.on_accept(conn, l->config.user);
	if (conn->state != CONN_DEAD)
		conn_start(conn, l->config.handshakes, l->config.open_timeout_ms);
}

/* Out of descriptors: give up the spare one, take the newest connection with it, drop that, and be spare again. */
static void
drop_newest(struct ear *ear)
{
	if (ear->spare_fd < 0)
		return;
	close(ear->spare_fd);
	ear->spare_fd = accept4(ear->fd, NULL, NULL, SOCK_CLOEXEC);
	if (ear->spare_fd >= 0)
		close(ear->spare_fd);
	ear->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
on_ready(struct watch *watch, unsigned what)
{
	struct ear *ear = CONTAINER_OF(watch, struct ear, watch);

	(void)what;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage address = { 0 };
		socklen_t len = sizeof(address);
		int fd = accept4(ear->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			take(ear, fd, &address);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE)
			drop_newest(ear);
		if (errno == EAGAIN)
			return;
	}
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------ */

static int
bind_tcp(struct listener *l, bool shared, struct err *err)
{
	struct sockaddr_storage address = { 0 };
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&address;
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&address;
	bool is_v6 = strchr(l->config.address, ':') != NULL;
	socklen_t len = is_v6 ? sizeof(*v6) : sizeof(*v4);
	int one = 1, fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(err, "making a socket");
	address.ss_family = is_v6 ? AF_INET6 : AF_INET;
	if (inet_pton(address.ss_family, l->config.address, is_v6 ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr) != 1) {
		close(fd);
		return err_set(err, ERR_INVALID, "'%s' is not an IP address to listen on", l->config.address);
	}
	if (is_v6)
		v6->sin6_port = htons((uint16_t)l->port);
	else
		v4->sin_port = htons((uint16_t)l->port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, BACKLOG) < 0 || getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
		err_errno(err, "listening on %s port %d", l->config.address, l->port);
		close(fd);
		return -1;
	}
	l->port = ntohs(is_v6 ? v6->sin6_port : v4->sin_port);
	return fd;
}

static int
check_socket_place(const char *path, struct err *err)
{
	OWN_TEXT dir = mem_text(path);
	char *slash = strrchr(dir, '/');
	struct stat st;

	if (slash)
		*slash = '\0';
	if (stat(slash ? (*dir ? dir : "/") : ".", &st) < 0)
		return err_errno(err, "the folder of %s", path);
	if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
		return err_set(err, ERR_DENIED, "%s: everybody may write to its folder", path);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_CONFLICT, "%s is there and is not a socket", path);
	return unlink(path) < 0 ? err_errno(err, "replacing %s", path) : 0;
}

static int
bind_unix(const struct listener *l, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = l->config.unix_path;
	mode_t before;
	int fd, failed;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_LIMIT, "%s: longer than the %zu characters that a unix socket's path may have", path, sizeof(address.sun_path) - 1);
	if (check_socket_place(path, err) < 0)
		return -1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	before = umask(0177);
	failed = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(before);
	if (failed || chmod(path, l->config.unix_mode) < 0 || listen(fd, BACKLOG) < 0) {
		err_errno(err, "listening on %s", path);
		close(fd);
		return -1;
	}
	return fd;
}

static int
open_ear(struct listener *l, struct loop *loop, bool shared, struct err *err)
{
	struct ear *ear = &l->ears[l->n_ears];
	int fd = l->config.unix_path ? bind_unix(l, err) : l->port < 0 ? l->config.inherited_fd : bind_tcp(l, shared, err);

	if (fd < 0)
		return -1;
	*ear = (struct ear){ .listener = l, .loop = loop, .fd = fd, .spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC) };
	watch_init(&ear->watch, loop, fd, on_ready);
	watch_set(&ear->watch, WATCH_READ);
	l->n_ears++;
	return 0;
}

struct listener *
listener_open(struct loop *const *loops, size_t n_loops, const struct listener_config *config, struct err *err)
{
	struct listener *l = NEW(listener);
	size_t n = config->unix_path || config->port < 0 ? 1 : n_loops;

	l->config = *config;
	l->config.max_conns = config->max_conns ? config->max_conns : MAX_CONNS;
	l->config.open_timeout_ms = config->open_timeout_ms ? config->open_timeout_ms : OPEN_TIMEOUT_MS;
	l->port = config->port;
	l->n_refs = 1;
	l->per_peer = map_new();
	l->ears = mem_array(n, sizeof(*l->ears));
	pthread_mutex_init(&l->lock, NULL);
	for (size_t i = 0; i < n; i++)
		if (open_ear(l, loops[i], n > 1, err) < 0) {
			listener_close(l);
			return NULL;
		}
	return l;
}

void
listener_close(struct listener *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n_ears; i++) {
		watch_clear(&l->ears[i].watch);
		close(l->ears[i].fd);
		if (l->ears[i].spare_fd >= 0)
			close(l->ears[i].spare_fd);
	}
	l->n_ears = 0;
	unref(l);
}

int
listener_port(const struct listener *l)
{
	return l->port;
}

size_t
listener_n_conns(const struct listener *l)
{
	return l->n_conns;
}
