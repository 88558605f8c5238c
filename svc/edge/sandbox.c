/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox of a role. */
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "base/mem.h"
#include "edge/sandbox.h"
#include "edge/syscall_filter.h"

#define LANDLOCK_WITH_SCOPES 6 /* the version of Landlock's interface that has them */

#define READ_ACCESS (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FILE_ACCESS (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)
#define ALL_ACCESS                                                                                                                 \
	(READ_ACCESS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |            \
		LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                         \
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                      \
		LANDLOCK_ACCESS_FS_MAKE_SYM)
#define WRITE_ACCESS                                                                                                               \
	(READ_ACCESS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |            \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK)

/* Landlock's own, as newer headers have it. */
struct rules {
	uint64_t files, ports, scopes;
};

/* What every dynamically linked program with TLS and name resolution reads; a sanitizer's run-time reads its options and its map in /proc/self.  Not the whole of it: net/unix there has
 * the names of all sockets. */
static const char *const system_paths[] = { "/usr", "/lib", "/lib64", "/bin", "/etc", "/dev/null", "/dev/zero", "/dev/urandom",
	"/dev/random", "/run/systemd/resolve", "/proc/self/cmdline", "/proc/self/environ", "/proc/self/maps", "/proc/sys/kernel",
	"/proc/sys/vm", "/sys/devices/system/cpu" };

static long
landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool
sandbox_separates_files(void)
{
	return landlock_version() >= 1 && syscall_filter_is_there();
}

bool
sandbox_all_may_read(const char *path)
{
	char *real = realpath(path, NULL);
	bool found = false;

	for (size_t i = 0; real && i < COUNT(system_paths); i++) {
		size_t len = strlen(system_paths[i]);

		found = found || (strncmp(real, system_paths[i], len) == 0 && (real[len] == '/' || real[len] == '\0'));
	}
	free(real);
	return found;
}

/* A path that is not there needs no rule. */
static int
allow(int ruleset, const char *path, uint64_t access, struct err *err)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	int fd = open(path, O_PATH | O_CLOEXEC), status;

	if (fd < 0)
		return 0;
	rule.parent_fd = fd;
	status = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	if (status < 0 && errno == EINVAL) {
		rule.allowed_access &= FILE_ACCESS; /* not a folder */
		status = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	}
	close(fd);
	return status < 0 ? err_errno(err, "sandbox: %s", path) : 0;
}

static int
allow_all(int ruleset, const struct sandbox *s, struct err *err)
{
	for (size_t i = 0; i < COUNT(system_paths); i++)
		if (allow(ruleset, system_paths[i], i < 5 ? READ_ACCESS : READ_ACCESS | LANDLOCK_ACCESS_FS_WRITE_FILE, err) < 0)
			return -1;
	for (size_t i = 0; i < s->n_read; i++)
		if (allow(ruleset, s->read[i], READ_ACCESS, err) < 0)
			return -1;
	for (size_t i = 0; i < s->n_write; i++)
		if (allow(ruleset, s->write[i], WRITE_ACCESS, err) < 0)
			return -1;
	return 0;
}

static int
restrict_files(const struct sandbox *s, struct err *err)
{
	bool scoped = landlock_version() >= LANDLOCK_WITH_SCOPES;
	struct rules rules = { .files = ALL_ACCESS, .scopes = 3 }; /* neither signals nor abstract sockets reach beyond */
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, scoped ? sizeof(rules) : sizeof(rules.files), 0), status;

	if (ruleset < 0)
		return err_errno(err, "sandbox: Landlock");
	status = allow_all(ruleset, s, err);
	if (status == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		status = err_errno(err, "sandbox: Landlock");
	close(ruleset);
	return status;
}

static int
change_user(uid_t uid, struct err *err)
{
	if (setgroups(0, NULL) < 0 || setresgid((gid_t)uid, (gid_t)uid, (gid_t)uid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_errno(err, "becoming user %u", uid);
	if (setresuid(0, 0, 0) == 0) /* it must not be undone */
		return err_set(err, ERR_BROKEN, "user %u can become root again", uid);
	return 0;
}

int
sandbox_enter(const struct sandbox *s, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, "no_new_privs");
	if (s->change_user && change_user(s->uid, err) < 0)
		return -1;
	if (landlock_version() >= 1 && restrict_files(s, err) < 0)
		return -1;
	return syscall_filter_enter(err);
}
