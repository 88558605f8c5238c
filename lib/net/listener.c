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

#include <openssl/ssl.h>

#include "base/bucket.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "net/conn_inside.h"
#include "net/listen_address.h"
#include "net/listener.h"

#define BACKLOG 1024
#define ACCEPTS_A_TURN 32
#define PAUSE_MS 100
#define MAX_CONNS 100000
#define ACCEPT_JITTER_MS 20
#define OPEN_TIMEOUT_MS 20000

struct ear {
	struct watch watch;
	struct timer pause; /* while no connection can be taken */
	struct post close;
	struct listener *listener;
	struct loop *loop;
	int fd, spare_fd;
	struct bucket accepts;
};

struct listener {
	struct listener_config config;
	struct ear *ears;
	char *unix_path; /* ours to remove, as long as it is still the socket that we bound */
	dev_t unix_dev;
	ino_t unix_ino;
	size_t n_ears;
	int port;
	struct map *per_peer; /* number of connections, as a pointer */
	pthread_mutex_t lock; /* of per_peer */
	atomic_size_t n_conns;
	struct bucket_limit pace; /* of each ear */
	atomic_ullong n_accepted, n_refused, n_delays, n_failed_handshakes;
	atomic_int n_refs; /* the owner's, one a connection, one an ear */
};

static void
unref(struct listener *l)
{
	if (--l->n_refs > 0)
		return;
	map_free(l->per_peer);
	pthread_mutex_destroy(&l->lock);
	mem_free(l->unix_path);
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
	key.address = conn->peer;
	/* Whoever has one address of an IPv6 network has its other 2^64 too. */
	if (!IN6_IS_ADDR_V4MAPPED(&key.address))
		memset(key.address.s6_addr + 8, 0, 8);
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

static bool
enter_share(const struct listener *l)
{
	struct listener_share *share = l->config.share;

	if (!share || ++share->n <= share->most)
		return true;
	share->n--;
	return false;
}

static void
leave_share(const struct listener *l)
{
	if (l->config.share)
		l->config.share->n--;
}

/* All limits but those of rates. */
static bool
fits(struct listener *l, const struct conn *conn, int fd)
{
	if (l->n_conns > l->config.max_conns || (l->config.last_fd > 0 && fd > l->config.last_fd) || !enter_share(l))
		return false;
	if (charge(l, conn))
		return true;
	leave_share(l);
	return false;
}

void
listener_conn_closed(struct listener *l, struct conn *conn)
{
	l->n_conns--;
	leave_share(l);
	if (conn->ssl && !SSL_is_init_finished(conn->ssl))
		l->n_failed_handshakes++;
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

	if (getsockopt(conn->watch.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return;
	/* SO_PEERPIDFD names the very process that connected; opening by number could meet another one (atk-14). */
	if (getsockopt(conn->watch.fd, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &pidfd_len) < 0)
		pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	conn->process = NEW(peer_process);
	*conn->process = (struct peer_process){ .uid = cred.uid, .gid = cred.gid, .pid = cred.pid, .pidfd = pidfd };
}

static void
take(struct ear *ear, int fd, const struct sockaddr_storage *address)
{
	struct listener *l = ear->listener;
	struct conn *conn = conn_new(ear->loop, fd, l->config.ops, NULL);
	int one = 1;

	if (address->ss_family == AF_UNIX)
		keep_process(conn);
	else
		conn_keep_peer(conn, address);
	l->n_conns++;
	if (!fits(l, conn, fd)) {
		l->n_conns--;
		l->n_refused++;
		conn->ops = &conn_silent_ops; /* on_accept was not called, so on_close must not be */
		conn_die(conn, "too many connections");
		return;
	}
	l->n_refs++;
	l->n_accepted++;
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

/* Out of descriptors: give up the spare one, take the newest connection with it, drop that, and be spare again.  When somebody else was faster and took the
 * spare one, the listener rests for a moment: the descriptor that says "there is one" would keep the loop busy. */
static void
drop_newest(struct ear *ear)
{
	if (ear->spare_fd >= 0) {
		int fd;

		close(ear->spare_fd);
		fd = accept4(ear->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			close(fd);
	}
	ear->listener->n_refused++;
	ear->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (ear->spare_fd >= 0)
		return;
	watch_set(&ear->watch, 0);
	timer_arm(&ear->pause, PAUSE_MS);
}

static void
on_pause_over(struct timer *timer)
{
	struct ear *ear = CONTAINER_OF(timer, struct ear, pause);

	if (ear->spare_fd < 0)
		ear->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	watch_set(&ear->watch, WATCH_READ);
	if (ear->watch.what == 0)
		timer_arm(timer, PAUSE_MS);
}

/* A storm is taken at a rate: those who wait are in the kernel's queue, in their order, and their TCP tries again when that is full.  With some jitter, so that loops don't begin anew together. */
static bool
may_accept(struct ear *ear, bool is_first)
{
	int64_t wait_ms = bucket_take(&ear->accepts, &ear->listener->pace, clock_boot_ms());

	if (wait_ms == 0)
		return true;
	if (!is_first) /* if there is one more, the loop says so again */
		return false;
	ear->listener->n_delays++;
	watch_set(&ear->watch, 0);
	timer_arm(&ear->pause, wait_ms + random_below(ACCEPT_JITTER_MS));
	return false;
}

static void
on_ready(struct watch *watch, unsigned what)
{
	struct ear *ear = CONTAINER_OF(watch, struct ear, watch);

	(void)what;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage address = { 0 };
		socklen_t len = sizeof(address);
		int fd;

		if (!may_accept(ear, i == 0))
			return;
		fd = accept4(ear->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take(ear, fd, &address);
			continue;
		}
		bucket_return(&ear->accepts, &ear->listener->pace);
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			drop_newest(ear);
		else if (errno == EAGAIN)
			return;
	}
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------ */

static int
bind_tcp_as(struct listener *l, bool shared, struct err *err)
{
	struct sockaddr_storage address = { 0 };
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&address;
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&address;
	const char *text = listen_address_here(l->config.address);
	bool is_v6 = strchr(text, ':') != NULL;
	socklen_t len = is_v6 ? sizeof(*v6) : sizeof(*v4);
	int one = 1, zero = 0, fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(err, "making a socket");
	address.ss_family = is_v6 ? AF_INET6 : AF_INET;
	if (inet_pton(address.ss_family, text, is_v6 ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr) != 1) {
		close(fd);
		return err_set(err, ERR_INVALID, "'%s' is not an IP address to listen on", l->config.address);
	}
	if (is_v6)
		v6->sin6_port = htons((uint16_t)l->port);
	else
		v4->sin_port = htons((uint16_t)l->port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (is_v6) /* whatever net.ipv6.bindv6only says: it matters for "::" alone */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, BACKLOG) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
		err_errno(err, "listening on %s port %d", text, l->port);
		close(fd);
		return -1;
	}
	l->port = ntohs(is_v6 ? v6->sin6_port : v4->sin_port);
	return fd;
}

/* Sharing a port among our loops would also share it with another process that was started twice; so the first of them asks for it alone. */
static int
bind_tcp(struct listener *l, bool shared, struct err *err)
{
	if (shared && l->n_ears == 0 && l->port != 0) {
		int alone = bind_tcp_as(l, false, err);

		if (alone < 0)
			return -1;
		close(alone);
	}
	return bind_tcp_as(l, shared, err);
}

static bool
somebody_serves(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return good;
}

static int
check_socket_place(const char *path, const struct sockaddr_un *address, struct err *err)
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
	if (somebody_serves(address))
		return err_set(err, ERR_CONFLICT, "%s: another process is serving there", path);
	return unlink(path) < 0 ? err_errno(err, "replacing %s", path) : 0;
}

static int
bind_unix(struct listener *l, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = l->config.unix_path;
	struct stat st;
	mode_t before;
	int fd, failed;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_LIMIT, "%s: longer than the %zu characters that a unix socket's path may have", path,
			sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (check_socket_place(path, &address, err) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	before = umask(
		0777 & ~l->config.unix_mode); /* by chmod it would be of another mode for a moment, and a sandbox may forbid it */
	failed = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(before);
	if (failed || lstat(path, &st) < 0 || listen(fd, BACKLOG) < 0) {
		err_errno(err, "listening on %s", path);
		close(fd);
		return -1;
	}
	l->unix_path = mem_text(path);
	l->unix_dev = st.st_dev;
	l->unix_ino = st.st_ino;
	return fd;
}

static int
use_inherited(struct listener *l, struct err *err)
{
	int fd = l->config.inherited_fd, flags = fcntl(fd, F_GETFL);
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);

	if (l->n_ears > 0) /* the loops share what can't be bound again */
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return err_errno(err, "the socket handed over as descriptor %d", fd);
	if (address.ss_family == AF_INET)
		l->port = ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
	else if (address.ss_family == AF_INET6)
		l->port = ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port);
	return fd;
}

static int
open_socket(struct listener *l, bool shared, struct err *err)
{
	if (l->config.unix_path)
		return bind_unix(l, err);
	return l->config.port < 0 ? use_inherited(l, err) : bind_tcp(l, shared, err);
}

static int
open_ear(struct listener *l, struct loop *loop, bool shared, struct err *err)
{
	struct ear *ear = &l->ears[l->n_ears];
	int fd = open_socket(l, shared, err);

	if (fd < 0)
		return -1;
	*ear = (struct ear){ .listener = l, .loop = loop, .fd = fd, .spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC) };
	watch_init(&ear->watch, loop, fd, on_ready);
	timer_init(&ear->pause, loop, on_pause_over);
	watch_set(&ear->watch, WATCH_READ);
	l->n_ears++;
	l->n_refs++;
	return ear->watch.what == 0 ? err_errno(err, "watching a listening socket") : 0;
}

struct listener *
listener_open(struct loop *const *loops, size_t n_loops, const struct listener_config *config, struct err *err)
{
	struct listener *l = NEW(listener);
	size_t n = config->unix_path ? 1 : n_loops;

	l->config = *config;
	l->config.max_conns = config->max_conns ? config->max_conns : MAX_CONNS;
	l->config.open_timeout_ms = config->open_timeout_ms ? config->open_timeout_ms : OPEN_TIMEOUT_MS;
	l->pace = bucket_per_second(config->accepts_per_second > 0 ? (config->accepts_per_second + (int64_t)n - 1) / (int64_t)n : 0,
		config->accept_burst / (int64_t)n);
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

static void
close_ear(struct ear *ear)
{
	watch_clear(&ear->watch);
	timer_cancel(&ear->pause);
	close(ear->fd);
	if (ear->spare_fd >= 0)
		close(ear->spare_fd);
	unref(ear->listener);
}

static void
on_close_post(struct post *post)
{
	close_ear(CONTAINER_OF(post, struct ear, close));
}

static void
remove_socket(const struct listener *l)
{
	struct stat st;

	if (l->unix_path && lstat(l->unix_path, &st) == 0 && st.st_dev == l->unix_dev && st.st_ino == l->unix_ino)
		unlink(l->unix_path);
}

void
listener_close(struct listener *l)
{
	if (!l)
		return;
	remove_socket(l);
	for (size_t i = 0; i < l->n_ears; i++) {
		struct ear *ear = &l->ears[i];

		ear->close.run = on_close_post;
		if (loop_is_running(ear->loop) && !loop_is_mine(ear->loop))
			loop_post(ear->loop, &ear->close);
		else
			close_ear(ear);
	}
	unref(l);
}

int
listener_port(const struct listener *l)
{
	return l->port;
}

struct listener_counts
listener_counts(const struct listener *l)
{
	return (struct listener_counts){ l->n_accepted, l->n_refused, l->n_delays, l->n_failed_handshakes };
}

size_t
listener_n_conns(const struct listener *l)
{
	return l->n_conns;
}
