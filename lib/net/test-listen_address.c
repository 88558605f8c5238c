/* SPDX-License-Identifier: Apache-2.0 */
/* Listening on both families, on a kernel with IPv6 and on one that has none. */
#include "net/listen_address.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "net/test_fixture.h"

static struct listener *
listen_on(struct loop *loop, const char *address)
{
	static const struct conn_ops ops = { 0 };
	struct err err = ERR_INIT;
	struct listener *listener = listener_open(&loop, 1, &(struct listener_config){ .address = address, .ops = &ops }, &err);

	if (!listener)
		fail_msg("%s", err.text);
	return listener;
}

static bool
is_heard_at(const struct listener *listener, const char *address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)listener_port(listener)) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = v4.sin_port };
	bool is_v6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
	int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = -1;

	inet_pton(AF_INET, address, &v4.sin_addr);
	if (fd >= 0)
		status = is_v6 ? connect(fd, (struct sockaddr *)&v6, sizeof(v6)) : connect(fd, (struct sockaddr *)&v4, sizeof(v4));
	if (fd >= 0)
		close(fd);
	return status == 0;
}

static bool
is_v6_here(void)
{
	struct sockaddr_in6 loopback = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is = fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof(loopback)) == 0;

	if (fd >= 0)
		close(fd);
	return is;
}

TEST("who listens on :: is reached over IPv4, and over IPv6 where the box has that; on 0.0.0.0 over IPv4 alone")
{
	struct loop *loop = loop_new("test");
	struct listener *both = listen_on(loop, "::"), *v4 = listen_on(loop, "0.0.0.0");

	CHECK(is_heard_at(both, "127.0.0.1"));
	CHECK_INT(is_heard_at(both, "::1"), is_v6_here());
	CHECK(is_heard_at(v4, "127.0.0.1"));
	CHECK(!is_heard_at(v4, "::1"));
	listener_close(both);
	listener_close(v4);
	loop_free(loop);
}

/* From now on this process is on a kernel that was started with ipv6.disable=1. */
static bool
take_v6_away(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = COUNT(code), .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* 0: as it should be. */
static int
without_v6(void)
{
	struct loop *loop = loop_new("test");
	struct err err = ERR_INIT;
	struct listener *listener;

	if (!take_v6_away())
		return 2;
	if (strcmp(listen_address_here("::"), "0.0.0.0") != 0 || strcmp(listen_address_here("::1"), "::1") != 0)
		return 3;
	listener = listener_open(&loop, 1, &(struct listener_config){ .address = "::" }, &err);
	return listener && is_heard_at(listener, "127.0.0.1") ? 0 : 4;
}

TEST("on a kernel without IPv6 who is told to listen on :: does so on 0.0.0.0")
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(without_v6());
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

TEST("an address is heard by who listens on one of its family, or on both")
{
	CHECK(listen_address_hears("::", "10.0.0.1") && listen_address_hears("0::0", "2001:db8::7"));
	CHECK(listen_address_hears("0.0.0.0", "10.0.0.1") && !listen_address_hears("0.0.0.0", "2001:db8::7"));
	CHECK(listen_address_hears("127.0.0.1", "10.0.0.1") && !listen_address_hears("127.0.0.1", "2001:db8::7"));
	CHECK(listen_address_hears("2001:db8::1", "2001:db8::7") && !listen_address_hears("2001:db8::1", "10.0.0.1"));
}
