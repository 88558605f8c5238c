/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor's socket. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "edge/control.h"
#include "wire/json.h"

#define REQUEST_MAX 4096
#define ANSWER_MAX 65536
#define CLIENT_MS 2000

struct client {
	int fd; /* -1: nobody */
	int64_t until_ms;
	struct buf request;
};

struct control {
	int fd;
	struct client clients[CONTROL_CLIENTS_MAX];
	control_handler *handle;
	void *arg;
};

/* -- Opening -------------------------------------------------------------------------------------------------------------------------- */

static int
listen_at(const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), failed;
	mode_t before = umask(0177);

	memcpy(address.sun_path, path, strlen(path) + 1);
	failed = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, CONTROL_CLIENTS_MAX) < 0;
	umask(before);
	if (!failed)
		return fd;
	(void)err_errno(err, "listening on %s", path);
	if (fd >= 0)
		close(fd);
	return -1;
}

struct control *
control_open(const char *path, const char *state, control_handler *handle, void *arg, struct err *err)
{
	OWN(control) c = NEW(control);
	OWN_TEXT where = mem_textf("%s/run/control", state);
	OWN_TEXT line = mem_textf("%s\n", path);

	for (size_t i = 0; i < COUNT(c->clients); i++)
		c->clients[i] = (struct client){ .fd = -1, .request = BUF_INIT(REQUEST_MAX) };
	c->handle = handle;
	c->arg = arg;
	c->fd = listen_at(path, err);
	if (c->fd < 0 || file_save_unsynced(where, line, strlen(line), 0600, err) < 0)
		return NULL;
	return GIVE(c);
}

/* -- Clients -------------------------------------------------------------------------------------------------------------------------- */

static void
drop(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	buf_clear(&client->request);
}

static bool
may_ask(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

/* A free place, or that of whoever has said nothing for longest. */
static struct client *
make_room(struct control *c)
{
	struct client *oldest = &c->clients[0];

	for (size_t i = 0; i < COUNT(c->clients); i++) {
		if (c->clients[i].fd < 0)
			return &c->clients[i];
		if (c->clients[i].until_ms < oldest->until_ms)
			oldest = &c->clients[i];
	}
	drop(oldest);
	return oldest;
}

static void
take(struct control *c)
{
	int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *client;

	if (fd < 0)
		return;
	if (!may_ask(fd)) {
		close(fd);
		return;
	}
	client = make_room(c);
	client->fd = fd;
	client->until_ms = clock_boot_ms() + CLIENT_MS;
}

static void
answer(struct control *c, struct client *client)
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) request = json_parse(client->request.data, client->request.len, &err);
	OWN_LIB(json_t) reply = request ? c->handle(request, c->arg) : json_pack("{s:s}", "error", err.text);
	OWN_TEXT text = json_line(reply);
	OWN_TEXT line = mem_textf("%s\n", text);

	/* It fits in the socket's buffer; a client that has filled that is none of ours. */
	if (strlen(line) > ANSWER_MAX || send(client->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_warn("the answer for an operator's command got lost");
	drop(client);
}

static void
hear(struct control *c, struct client *client)
{
	char piece[1024];
	ssize_t got = recv(client->fd, piece, sizeof(piece), MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0)
		buf_put(&client->request, piece, (size_t)got);
	if (got <= 0 || client->request.failed)
		drop(client);
	else if (piece[got - 1] == '\n')
		answer(c, client);
}

/* -- What the supervisor calls ------------------------------------------------------------------------------------------------------------ */

size_t
control_poll(const struct control *c, struct pollfd out[static CONTROL_FDS_MAX])
{
	size_t n = 0;

	out[n++] = (struct pollfd){ .fd = c->fd, .events = POLLIN };
	for (size_t i = 0; i < COUNT(c->clients); i++)
		if (c->clients[i].fd >= 0)
			out[n++] = (struct pollfd){ .fd = c->clients[i].fd, .events = POLLIN };
	return n;
}

int64_t
control_deadline_ms(const struct control *c)
{
	int64_t first = -1;

	for (size_t i = 0; i < COUNT(c->clients); i++)
		if (c->clients[i].fd >= 0 && (first < 0 || c->clients[i].until_ms < first))
			first = c->clients[i].until_ms;
	return first;
}

void
control_serve(struct control *c)
{
	int64_t now = clock_boot_ms();

	for (size_t i = 0; i < COUNT(c->clients); i++) {
		struct client *client = &c->clients[i];

		if (client->fd >= 0)
			hear(c, client);
		if (client->fd >= 0 && client->until_ms <= now)
			drop(client);
	}
	take(c);
}

void
control_free(struct control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < COUNT(c->clients); i++)
		drop(&c->clients[i]);
	if (c->fd >= 0)
		close(c->fd);
	mem_free(c);
}
