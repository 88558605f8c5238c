/* SPDX-License-Identifier: Apache-2.0 */
/* Denied system calls, as a BPF program that is written from a table: one comparison a call, and a few more for those whose arguments count. */
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>

#include "base/mem.h"
#include "edge/syscall_filter.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define FOREIGN_FROM 0x40000000 /* x32: the same calls by other numbers */
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#define FOREIGN_FROM UINT32_MAX
#else
#define ARCH 0
#define FOREIGN_FROM UINT32_MAX
#endif

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static const int denied[] = {
/* Of a path: Landlock leaves modes, owners, times and attributes alone, and the length before its third version. */
#ifdef SYS_chmod /* newer machines have only the calls with "at" */
	SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat,
#endif
	SYS_fchmodat, SYS_fchmodat2, SYS_fchownat, SYS_utimensat, SYS_truncate, SYS_setxattr, SYS_lsetxattr, SYS_removexattr,
	SYS_lremovexattr,
	/* What happens in a folder that may not be read. */
	SYS_inotify_add_watch, SYS_fanotify_init,
	/* Its operations are not seen here. */
	SYS_io_uring_setup
};

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define ARGUMENT(i) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, args) + (i)*8)) /* the low half */
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define SKIP_IF(test, value, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, (uint32_t)(value), yes, no)
#define DENY (SECCOMP_RET_ERRNO | EPERM)

bool
syscall_filter_is_there(void)
{
	return ARCH != 0 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

int
syscall_filter_enter(struct err *err)
{
	struct sock_filter code[COUNT(denied) * 2 + 24];
	struct sock_fprog program = { .filter = code };
	unsigned short n = 0;

	if (!syscall_filter_is_there())
		return 0;
	code[n++] = (struct sock_filter)LOAD(arch);
	code[n++] = (struct sock_filter)SKIP_IF(BPF_JEQ, ARCH, 1, 0);
	code[n++] = (struct sock_filter)RETURN(DENY);
	code[n++] = (struct sock_filter)LOAD(nr);
	code[n++] = (struct sock_filter)SKIP_IF(BPF_JGE, FOREIGN_FROM, 0, 1);
	code[n++] = (struct sock_filter)RETURN(DENY);
	for (size_t i = 0; i < COUNT(denied); i++) {
		code[n++] = (struct sock_filter)SKIP_IF(BPF_JEQ, denied[i], 0, 1);
		code[n++] = (struct sock_filter)RETURN(DENY);
	}
	/* Into the terminal that the log goes to, as if the operator had typed it. */
	code[n++] = (struct sock_filter)SKIP_IF(BPF_JEQ, SYS_ioctl, 0, 5);
	code[n++] = (struct sock_filter)ARGUMENT(1);
	code[n++] = (struct sock_filter)SKIP_IF(BPF_JEQ, TIOCSTI, 1, 0);
	code[n++] = (struct sock_filter)SKIP_IF(BPF_JEQ, TIOCLINUX, 0, 1);
	code[n++] = (struct sock_filter)RETURN(DENY);
	code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	/* sock_diag(7) tells the paths of all unix sockets of the box. */
	code[n++] = (struct sock_filter)SKIP_IF(BPF_JEQ, SYS_socket, 0, 5);
	code[n++] = (struct sock_filter)ARGUMENT(0);
	code[n++] = (struct sock_filter)SKIP_IF(BPF_JEQ, AF_NETLINK, 0, 3);
	code[n++] = (struct sock_filter)ARGUMENT(2);
	code[n++] = (struct sock_filter)SKIP_IF(BPF_JEQ, NETLINK_SOCK_DIAG, 0, 1);
	code[n++] = (struct sock_filter)RETURN(DENY);
	code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	program.len = n;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 ? err_errno(err, "sandbox: system call filter") : 0;
}
