/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/mem.h"
#include "common/syscall_filter.h"
#include "t.h"

/* What a child under this filter finds out, as its exit status: the number of the first question that was answered wrongly, 0 for none. */
static int
ask_under(enum syscall_filter filter, int (*questions)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct err err = ERR_INIT;

		_exit(syscall_filter_enter(filter, &err) < 0 ? 255 : questions());
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool
is_denied(long result)
{
	return result < 0 && errno == EPERM;
}

#define QUESTION(n, good)                                                                                                          \
	if (!(good))                                                                                                               \
	return (n)

static int
administrators(void)
{
	QUESTION(1, is_denied(syscall(SYS_unshare, CLONE_NEWUSER)));
	QUESTION(2, is_denied(syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL)));
	QUESTION(3, is_denied(syscall(SYS_bpf, 0, NULL, 0)));
	QUESTION(4, is_denied(syscall(SYS_keyctl, 0, 0)));
	QUESTION(5, is_denied(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0)));
	QUESTION(6, is_denied(syscall(SYS_userfaultfd, 0)));
	QUESTION(7, is_denied(syscall(SYS_io_uring_setup, 1, NULL)));
	QUESTION(8, is_denied(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL)));
	QUESTION(9, syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
	QUESTION(10, is_denied(syscall(SYS_clock_settime, 0, NULL)));
	QUESTION(11, is_denied(syscall(SYS_mknodat, AT_FDCWD, "/tmp/never", S_IFCHR | 0600, 0)));
	QUESTION(12, is_denied(syscall(SYS_setns, 0, 0)));
	return 0;
}

TEST("what only an administrator's tool needs is denied to services and roles alike, to root too")
{
	if (!syscall_filter_is_there())
		skip();
	CHECK_INT(ask_under(SYSCALL_FILTER_SERVICE, administrators), 0);
	CHECK_INT(ask_under(SYSCALL_FILTER_ROLE, administrators), 0);
}

static int
families(void)
{
	QUESTION(1, is_denied(socket(AF_PACKET, SOCK_RAW, 0)));
	QUESTION(2, is_denied(socket(AF_VSOCK, SOCK_STREAM, 0)));
	QUESTION(3, is_denied(socket(AF_ALG, SOCK_SEQPACKET, 0)));
	QUESTION(4, is_denied(socket(AF_NETLINK, SOCK_RAW, 4))); /* NETLINK_SOCK_DIAG */
	QUESTION(5, socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
	QUESTION(6, socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
	QUESTION(7, socket(AF_INET, SOCK_STREAM, 0) >= 0);
	QUESTION(8, socket(AF_INET6, SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT);
	return 0;
}

TEST("sockets are unix, IP and the netlink that resolves names; none tells the names of the box's sockets")
{
	if (!syscall_filter_is_there())
		skip();
	CHECK_INT(ask_under(SYSCALL_FILTER_SERVICE, families), 0);
}

static int
shells(void)
{
	char *const words[] = { (char *)(uintptr_t) "/bin/true", NULL };

	execv(words[0], words);
	return errno == EPERM ? 0 : 1;
}

TEST("a service starts no program; a role still becomes its own")
{
	if (!syscall_filter_is_there())
		skip();
	CHECK_INT(ask_under(SYSCALL_FILTER_SERVICE, shells), 0);
	CHECK_INT(ask_under(SYSCALL_FILTER_ROLE, shells), 0); /* what /bin/true says */
}

static void *
nothing(void *arg)
{
	return arg;
}

static int
work(void)
{
	struct addrinfo *found = NULL;
	struct err err = ERR_INIT;
	OWN_TEXT path = mem_textf("%s/file", t_dir);
	pthread_t thread;

	QUESTION(1, pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
	QUESTION(2, file_save(path, "x", 1, 0600, &err) == 0);
	QUESTION(3, getaddrinfo("localhost", NULL, NULL, &found) == 0);
	return 0;
}

TEST("threads, atomic files and names are what they were")
{
	if (!syscall_filter_is_there())
		skip();
	CHECK(*T_TMPDIR);
	CHECK_INT(ask_under(SYSCALL_FILTER_SERVICE, work), 0);
	CHECK_INT(ask_under(SYSCALL_FILTER_ROLE, work), 0);
}

static int
around(void)
{
	QUESTION(1, is_denied(chmod(t_dir, 0777)));
	QUESTION(2, is_denied(chown(t_dir, 0, 0)));
	QUESTION(3, is_denied(truncate(t_dir, 0)));
	QUESTION(4, is_denied(syscall(SYS_inotify_add_watch, 0, t_dir, 0xfff)));
	return 0;
}

TEST("a role is led around Landlock by no path")
{
	if (!syscall_filter_is_there())
		skip();
	CHECK(*T_TMPDIR);
	CHECK_INT(ask_under(SYSCALL_FILTER_ROLE, around), 0);
}
