/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of the local services. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "edge/role_sockets.h"
#include "net/listen_address.h"

#define BACKLOG 1024
#define LOW_PORT_MAX 1023

/* -- Names -------------------------------------------------------------------------------------------------------------------------- */

static const char *
add_run_dir(struct layout *l, char *path_take)
{
	l->run_dirs[l->n_run_dirs++] = (struct layout_run_dir){ .path = path_take };
	return path_take;
}

static const char *
add_secret_dir(struct layout *l)
{
	l->run_dirs[l->n_run_dirs] =
		(struct layout_run_dir){ mem_textf("%s/run/%016llx", l->state, (unsigned long long)random_u64()), true };
	return l->run_dirs[l->n_run_dirs++].path;
}

static void
add_socket(struct layout *l, enum layout_role role, const char *path, mode_t mode)
{
	l->sockets[l->n_sockets++] = (struct layout_socket){ .role = role, .path = path, .mode = mode };
}

/* Where only root may listen, and the gateway is not root. */
static void
add_low_port(struct layout *l, const struct config *c, int64_t port)
{
	struct layout_socket *s = &l->sockets[l->n_sockets];

	if (!c->has_gateway || port < 1 || port > LOW_PORT_MAX)
		return;
	*s = (struct layout_socket){ .role = ROLE_GATEWAY, .port = (int)port };
	snprintf(s->address, sizeof(s->address), "%s", c->gateway_address);
	l->n_sockets++;
}

static void
add_low_ports(struct layout *l, const struct config *c)
{
	add_low_port(l, c, c->gateway_mqtt_port);
	add_low_port(l, c, c->gateway_https_port);
}

static bool
has_tpmd(const struct config *c)
{
	return text_is(c->source, "dps") && text_is(c->auth_method, "tpm");
}

/* Where the original has them, and dist/systemd's socket units open them. */
static void
name_all_of_units(struct layout *l, const struct config *c)
{
	for (int r = 0; r < ROLE_COUNT; r++)
		l->keyd[r] = mem_text("/run/aziot/keyd.sock");
	l->certd = mem_text("/run/aziot/certd.sock");
	l->identityd = mem_text("/run/aziot/identityd.sock");
	if (has_tpmd(c))
		l->tpmd = mem_text("/run/aziot/tpmd.sock");
	l->management = mem_text("/run/iotedge/mgmt.sock");
	l->workload = mem_text("/run/iotedge/workload.sock");
}

/* Modules that have no socket of their own come here, of whatever user they are. */
static const char *
name_workload(struct layout *l)
{
	const char *dir = add_run_dir(l, mem_textf("%s/run/edged", l->state));

	l->workload = mem_textf("%s/workload.sock", dir);
	add_socket(l, ROLE_EDGED, l->workload, 0666);
	return dir;
}

static char *
name_public(struct layout *l, const struct config *c, enum layout_role role)
{
	const char *name = layout_role_name(role), *dir = add_run_dir(l, mem_textf("%s/run/%s", l->state, name));
	char *path = mem_textf("%s/%s.sock", dir, name);

	add_socket(l, role, path, json_array_size(c->principals) > 0 ? 0666 : 0660);
	return path;
}

static void
name_all_public(struct layout *l, const struct config *c)
{
	l->keyd[0] = name_public(l, c, ROLE_KEYD);
	for (int r = 1; r < ROLE_COUNT; r++)
		l->keyd[r] = mem_text(l->keyd[0]);
	l->certd = name_public(l, c, ROLE_CERTD);
	l->identityd = name_public(l, c, ROLE_IDENTITYD);
	if (has_tpmd(c)) {
		l->tpmd = mem_textf("%s/run/keyd/tpmd.sock", l->state);
		add_socket(l, ROLE_KEYD, l->tpmd, 0660);
	}
	l->control = mem_textf("%s/run/control.sock", l->state);
	l->management = mem_textf("%s/mgmt.sock", name_workload(l));
	add_socket(l, ROLE_EDGED, l->management, 0660);
}

static void
name_all_secret(struct layout *l, const struct config *c)
{
	const char *common = add_secret_dir(l), *gateway = add_secret_dir(l), *ours = add_secret_dir(l);

	for (int r = 0; r < ROLE_COUNT; r++)
		l->keyd[r] =
			mem_textf("%s/keyd-%s.sock", r == ROLE_GATEWAY ? gateway : common, layout_role_name((enum layout_role)r));
	for (int r = ROLE_KEYD + 1; r < ROLE_COUNT; r++)
		add_socket(l, ROLE_KEYD, l->keyd[r], 0600);
	l->certd = mem_textf("%s/certd.sock", common);
	add_socket(l, ROLE_CERTD, l->certd, 0600);
	l->identityd = mem_textf("%s/identityd.sock", common);
	add_socket(l, ROLE_IDENTITYD, l->identityd, 0600);
	if (has_tpmd(c)) {
		l->tpmd = mem_textf("%s/tpmd.sock", common);
		add_socket(l, ROLE_KEYD, l->tpmd, 0600);
	}
	l->control = mem_textf("%s/control.sock", ours);
	l->management = mem_textf("%s/mgmt.sock", add_secret_dir(l));
	name_workload(l);
	add_socket(l, ROLE_EDGED, l->management, 0600);
}

void
role_sockets_name(struct layout *l, const struct config *c)
{
	if (l->by_units)
		name_all_of_units(l, c);
	else if (l->separate_users)
		name_all_public(l, c);
	else
		name_all_secret(l, c);
	if (!l->by_units)
		add_low_ports(l, c);
	l->mnt = mem_textf("%s/mnt", l->dirs[ROLE_EDGED]);
	l->gateway_workload = mem_textf("%s/edgeHub.sock", l->mnt);
	l->gateway_control = mem_textf("%s/control.sock", l->dirs[ROLE_GATEWAY]);
}

static int
check_socket(const char *path, struct err *err)
{
	struct sockaddr_un address;

	if (strlen(path) < sizeof(address.sun_path))
		return 0;
	return err_set(err, ERR_LIMIT,
		"%s: longer than the %zu characters that a unix socket's path may have; choose a shorter state folder", path,
		sizeof(address.sun_path) - 1);
}

int
role_sockets_check(const struct layout *l, const struct config *c, struct err *err)
{
	for (size_t i = 0; i < l->n_sockets; i++)
		if (l->sockets[i].path && check_socket(l->sockets[i].path, err) < 0)
			return -1;
	for (size_t m = 0; m < c->n_modules; m++) {
		OWN_TEXT path = mem_textf("%s/%s.sock", l->mnt, c->modules[m].id);

		if (check_socket(path, err) < 0)
			return -1;
	}
	if (check_socket(l->gateway_control, err) < 0 || (l->control && check_socket(l->control, err) < 0))
		return -1;
	return check_socket(l->gateway_workload, err);
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------ */

/* The folder is ours and was made anew, so nothing is in the way and nobody exchanges what was bound. */
static int
open_one(const struct layout *l, const struct layout_socket *s, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct tree_owner owner = l->users[s->role];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), failed;
	mode_t before;

	memcpy(address.sun_path, s->path, strlen(s->path) + 1);
	before = umask(0777 & ~s->mode);
	failed = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		 (l->separate_users && lchown(s->path, owner.uid, owner.gid) < 0) || listen(fd, BACKLOG) < 0;
	umask(before);
	if (!failed)
		return fd;
	(void)err_errno(err, "listening on %s", s->path);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* -1: the gateway tries it itself, and goes on without it or ends; but why it can't be had is seen here, as the gateway may not have it in any case. */
static int
open_port(const struct layout_socket *s)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM };
	struct addrinfo *at = NULL;
	int fd = -1, one = 1, zero = 0;
	char port[8];

	snprintf(port, sizeof(port), "%d", s->port);
	if (getaddrinfo(listen_address_here(s->address), port, &hints, &at) == 0)
		fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd >= 0 && at->ai_family == AF_INET6) /* as the listener of the gateway does */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (fd >= 0 && (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)) {
		log_warn("port %d can't be opened for the gateway: %s", s->port, strerror(errno));
		close(fd);
		fd = -1;
	}
	if (at)
		freeaddrinfo(at);
	return fd;
}

int
role_sockets_open(const struct layout *l, int fds[static LAYOUT_SOCKETS_MAX], struct err *err)
{
	for (size_t i = 0; i < l->n_sockets; i++) {
		const struct layout_socket *s = &l->sockets[i];

		fds[i] = s->path ? open_one(l, s, err) : open_port(s);
		if (fds[i] >= 0 || !s->path)
			continue;
		while (i-- > 0)
			if (fds[i] >= 0)
				close(fds[i]);
		return -1;
	}
	return 0;
}
