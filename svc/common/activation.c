/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets handed over. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/activation.h"

#define FIRST_FD 3
#define SOCKETS_MAX 64

struct handed {
	int fd; /* -1: in use by now */
	struct sockaddr_storage address;
	socklen_t len;
};

static struct {
	struct handed sockets[SOCKETS_MAX];
	size_t n;
} activation;

static int64_t
number_of(const char *name)
{
	const char *text = getenv(name);
	int64_t value;

	return text && text_to_i64(text, 0, INT32_MAX, &value) ? value : -1;
}

/* What is no listening stream is left alone, whoever passed it. */
static bool
listens(int fd, struct handed *out)
{
	int yes = 0, type = 0;
	socklen_t len = sizeof(yes);

	*out = (struct handed){ .fd = fd, .len = sizeof(out->address) };
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) < 0 || !yes)
		return false;
	len = sizeof(type);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
	       getsockname(fd, (struct sockaddr *)&out->address, &out->len) == 0;
}

void
activation_take(void)
{
	int64_t pid = number_of("LISTEN_PID"), n = number_of("LISTEN_FDS");

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (pid != getpid() || n <= 0)
		return;
	if (n > SOCKETS_MAX)
		log_warn("%lld sockets were handed over, of which %d are used", (long long)n, SOCKETS_MAX);
	for (int fd = FIRST_FD; fd < FIRST_FD + n && activation.n < SOCKETS_MAX; fd++) {
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (listens(fd, &activation.sockets[activation.n]))
			activation.n++;
		else
			log_warn("descriptor %d was handed over, and is no listening socket", fd);
	}
}

static int
port_of(const struct handed *socket)
{
	if (socket->address.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)&socket->address)->sin_port);
	if (socket->address.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)&socket->address)->sin6_port);
	return -1;
}

static bool
is_at(const struct handed *socket, const struct listener_config *config)
{
	const struct sockaddr_un *address = (const struct sockaddr_un *)(const void *)&socket->address;
	size_t room =
		socket->len > offsetof(struct sockaddr_un, sun_path) ? socket->len - offsetof(struct sockaddr_un, sun_path) : 0;

	if (!config->unix_path)
		return config->port > 0 && port_of(socket) == config->port;
	return address->sun_family == AF_UNIX && strnlen(address->sun_path, room) == strlen(config->unix_path) &&
	       strncmp(address->sun_path, config->unix_path, room) == 0;
}

void
activation_adopt(struct listener_config *config)
{
	for (size_t i = 0; i < activation.n; i++) {
		struct handed *socket = &activation.sockets[i];

		if (socket->fd < 0 || !is_at(socket, config))
			continue;
		config->inherited_fd = socket->fd;
		config->unix_path = NULL;
		config->port = -1;
		socket->fd = -1;
		return;
	}
}
