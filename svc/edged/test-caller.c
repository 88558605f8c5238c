/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the process at the other end: tried on this test and a child of it. */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "edged/caller.h"
#include "edged/cgroup.h"
#include "t.h"

static struct peer_process
process(pid_t pid)
{
	return (struct peer_process){ getuid(), getgid(), pid, (int)syscall(SYS_pidfd_open, pid, 0) };
}

static void
refused(const struct caller_rule *rule, const struct peer_process *p, enum reason want, const char *why)
{
	struct err err = ERR_INIT;
	enum reason reason;

	CHECK(caller_judge(rule, p, -1, &reason, &err) < 0);
	CHECK_INT(reason, want);
	CHECK_CONTAINS(err.text, why);
}

TEST("user and group are those of the socket's other end")
{
	struct peer_process me = process(getpid());
	struct caller_rule rule = { .has_uid = true, .uid = getuid(), .has_gid = true, .gid = getgid() };
	struct err err = ERR_INIT;
	enum reason reason;

	CHECK_OK(caller_judge(&rule, &me, -1, &reason, &err), err);
	rule.gid++;
	refused(&rule, &me, CALLER_NOT_ALLOWED, "another group");
	rule.uid++;
	refused(&rule, &me, CALLER_NOT_ALLOWED, "another user");
	close(me.pidfd);
}

TEST("the control group is looked up in /proc, and a unit or group that is another's is refused with both names")
{
	struct peer_process me = process(getpid());
	struct caller_rule rule = { .cgroup = (char *)(uintptr_t) "/no.slice/such.service" };
	CLEAR(buf) text = BUF_INIT(16384);
	OWN_TEXT mine = NULL;
	struct err err = ERR_INIT;
	enum reason reason;

	CHECK_OK(file_load(&text, "/proc/self/cgroup", &err), err);
	mine = cgroup_path(buf_text(&text));
	if (!mine)
		skip();
	refused(&rule, &me, CALLER_NOT_ALLOWED, "/no.slice/such.service");
	rule.cgroup = mine;
	CHECK_OK(caller_judge(&rule, &me, -1, &reason, &err), err);
	rule = (struct caller_rule){ .unit = (char *)(uintptr_t) "such.service" };
	refused(&rule, &me, CALLER_NOT_ALLOWED, "such.service");
	close(me.pidfd);
}

TEST("a program is not believed where nobody can tell it")
{
	struct peer_process me = process(getpid());
	struct caller_rule rule = { .executable = (char *)(uintptr_t) "/bin/true" };

	refused(&rule, &me, CALLER_NOT_ALLOWED, "nobody here can tell");
	close(me.pidfd);
}

TEST("atk-14: whoever has ended is unknown, whatever else is true of it; and so is one without a pidfd")
{
	struct caller_rule rule = { .has_uid = true, .uid = getuid() };
	struct peer_process child;
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	child = process(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	refused(&rule, &child, CALLER_UNKNOWN, "has ended");
	rule.uid++;
	refused(&rule, &child, CALLER_UNKNOWN, "has ended");
	rule.uid--;
	close(child.pidfd);
	child = (struct peer_process){ getuid(), getgid(), getpid(), -1 };
	refused(&rule, &child, CALLER_UNKNOWN, "has ended");
}
