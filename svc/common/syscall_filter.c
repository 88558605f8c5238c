/* SPDX-License-Identifier: Apache-2.0 */
/* Denied system calls, as a BPF program that is written from tables: one comparison a call, and a few more for those whose arguments count.  What is allowed whatever its arguments
 * are, the kernel finds out once and then no longer runs the program for. */
#include <assert.h>
#include <errno.h>
#include <sched.h>
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
#include "common/syscall_filter.h"

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

/* Newer than some headers, and of the same number on all machines. */
enum newer_calls { PIDFD_GETFD = 438, MOUNT_SETATTR = 442, FCHMODAT2 = 452 };

/* A leak check traces its own process. */
#ifdef __SANITIZE_ADDRESS__
#define TRACES
#else
#define TRACES SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev,
#endif

static const int for_administrators[] = { TRACES SYS_kcmp, PIDFD_GETFD, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot,
	MOUNT_SETATTR, 428 /* open_tree */, 429 /* move_mount */, 430 /* fsopen */, 431 /* fsconfig */, 432 /* fsmount */,
	433 /* fspick */, SYS_unshare, SYS_setns, SYS_bpf, SYS_perf_event_open, SYS_add_key, SYS_request_key, SYS_keyctl,
	SYS_kexec_load, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct,
	SYS_quotactl, SYS_syslog, SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_sethostname,
	SYS_setdomainname, SYS_userfaultfd, SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_personality, SYS_vhangup, SYS_mknodat,
	SYS_fanotify_init, SYS_migrate_pages, SYS_move_pages, SYS_io_uring_setup /* its operations are not seen here */,
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
#ifdef SYS_mknod /* newer machines have only the calls with "at" */
	SYS_mknod, SYS_iopl, SYS_ioperm, SYS_modify_ldt
#endif
};

static const int programs[] = { SYS_execve, SYS_execveat };

static const int around_landlock[] = {
/* Of a path: Landlock leaves modes, owners, times and attributes alone, and the length before its third version. */
#ifdef SYS_chmod
	SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat,
#endif
	SYS_fchmodat, FCHMODAT2, SYS_fchownat, SYS_utimensat, SYS_truncate, SYS_setxattr, SYS_lsetxattr, SYS_removexattr,
	SYS_lremovexattr,
	/* What happens in a folder that may not be read. */
	SYS_inotify_add_watch
};

#define CODE_MAX 256
#define NEW_NAMESPACES                                                                                                             \
	(CLONE_NEWNS | 0x02000000 /* CLONE_NEWCGROUP */ | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

struct code {
	struct sock_filter item[CODE_MAX];
	unsigned short n;
};

/* -- Instructions ---------------------------------------------------------------------------------------------------------------------- */

#define DENY (SECCOMP_RET_ERRNO | EPERM)

static void
put(struct code *code, struct sock_filter instruction)
{
	assert(code->n < CODE_MAX);
	code->item[code->n++] = instruction;
}

static void
load(struct code *code, size_t offset)
{
	put(code, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void
load_argument(struct code *code, size_t i)
{
	load(code, offsetof(struct seccomp_data, args) + i * 8); /* the low half */
}

static void
answer(struct code *code, uint32_t what)
{
	put(code, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

static void
skip_if(struct code *code, uint16_t test, uint32_t value, uint8_t yes, uint8_t no)
{
	put(code, (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | test | BPF_K), value, yes, no));
}

/* -- Rules ------------------------------------------------------------------------------------------------------------------------------ */

static void
begin(struct code *code)
{
	load(code, offsetof(struct seccomp_data, arch));
	skip_if(code, BPF_JEQ, ARCH, 1, 0);
	answer(code, DENY);
	load(code, offsetof(struct seccomp_data, nr));
	skip_if(code, BPF_JGE, FOREIGN_FROM, 0, 1);
	answer(code, DENY);
}

static void
deny(struct code *code, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		skip_if(code, BPF_JEQ, (uint32_t)calls[i], 0, 1);
		answer(code, DENY);
	}
}

/* No namespace of one's own, in which one is root and finds the kernel's less looked-after parts.  clone3 has its flags in memory, where a filter doesn't see them: it is not there, and
 * C libraries then use clone. */
static void
deny_namespaces(struct code *code)
{
	skip_if(code, BPF_JEQ, SYS_clone3, 0, 1);
	answer(code, SECCOMP_RET_ERRNO | ENOSYS);
	skip_if(code, BPF_JEQ, SYS_clone, 0, 4);
	load_argument(code, 0);
	skip_if(code, BPF_JSET, NEW_NAMESPACES, 0, 1);
	answer(code, DENY);
	answer(code, SECCOMP_RET_ALLOW);
}

/* Into the terminal that the log goes to, as if the operator had typed it. */
static void
deny_typing(struct code *code)
{
	skip_if(code, BPF_JEQ, SYS_ioctl, 0, 5);
	load_argument(code, 1);
	skip_if(code, BPF_JEQ, TIOCSTI, 1, 0);
	skip_if(code, BPF_JEQ, TIOCLINUX, 0, 1);
	answer(code, DENY);
	answer(code, SECCOMP_RET_ALLOW);
}

/* Unix, IP, and netlink, by which names are resolved; of that not sock_diag(7), which tells the paths of all unix sockets of the box.  What else the kernel has is seldom used and seldom
 * looked at. */
static void
deny_families(struct code *code)
{
	skip_if(code, BPF_JEQ, SYS_socket, 0, 9);
	load_argument(code, 0);
	skip_if(code, BPF_JEQ, AF_UNIX, 6, 0);
	skip_if(code, BPF_JEQ, AF_INET, 5, 0);
	skip_if(code, BPF_JEQ, AF_INET6, 4, 0);
	skip_if(code, BPF_JEQ, AF_NETLINK, 0, 2);
	load_argument(code, 2);
	skip_if(code, BPF_JEQ, NETLINK_SOCK_DIAG, 0, 1);
	answer(code, DENY);
	answer(code, SECCOMP_RET_ALLOW);
}

bool
syscall_filter_is_there(void)
{
	return ARCH != 0 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

int
syscall_filter_enter(enum syscall_filter filter, struct err *err)
{
	struct code code = { .n = 0 };
	struct sock_fprog program = { .filter = code.item };

	if (!syscall_filter_is_there())
		return 0;
	begin(&code);
	deny(&code, for_administrators, COUNT(for_administrators));
	if (filter == SYSCALL_FILTER_SERVICE)
		deny(&code, programs, COUNT(programs));
	else
		deny(&code, around_landlock, COUNT(around_landlock));
	deny_namespaces(&code);
	deny_typing(&code);
	deny_families(&code);
	answer(&code, SECCOMP_RET_ALLOW);
	program.len = code.n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, "no_new_privs");
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 ? err_errno(err, "system call filter") : 0;
}
