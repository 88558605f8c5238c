/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox of a role. */
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/landlock.h>

#include "base/mem.h"
#include "common/syscall_filter.h"
#include "edge/sandbox.h"

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
static const char *const system_paths[] = { "/usr", "/lib", "/lib64", "/bin", "/proc/self/cmdline", "/proc/self/environ",
	"/proc/self/maps", "/proc/sys/kernel", "/proc/sys/vm", "/sys/devices/system/cpu", "/etc/ld.so.cache", "/etc/ld.so.preload",
	"/etc/localtime", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls", "/etc/pki/ca-trust", "/etc/crypto-policies" };
static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random" };

/* Modules for tokens and the TPM read their own. */
static const char *const token_paths[] = { "/etc/pkcs11", "/etc/softhsm", "/etc/softhsm2.conf", "/etc/opensc", "/etc/tpm2-tss" };

/* What resolves names.  The rule for a file is for the file that is there now: the supervisor starts a role again that would not see the next one (resolver_watch.h). */
static const char *const resolver_paths[] = { "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd",
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services",
	"/etc/protocols" };

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
allow_each(int ruleset, const char *const *paths, size_t n, uint64_t access, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (allow(ruleset, paths[i], access, err) < 0)
			return -1;
	return 0;
}

static int
allow_all(int ruleset, const struct sandbox *s, struct err *err)
{
	if (allow_each(ruleset, system_paths, COUNT(system_paths), READ_ACCESS, err) < 0 ||
		allow_each(ruleset, devices, COUNT(devices), READ_ACCESS | LANDLOCK_ACCESS_FS_WRITE_FILE, err) < 0)
		return -1;
	/* With a user of its own a role reads there what everybody may, and other users' secrets are closed to it. */
	if (s->change_user && allow(ruleset, "/etc", READ_ACCESS, err) < 0)
		return -1;
	if (s->uses_tokens && allow_each(ruleset, token_paths, COUNT(token_paths), READ_ACCESS, err) < 0)
		return -1;
	if (s->resolves_names && allow_each(ruleset, resolver_paths, COUNT(resolver_paths), READ_ACCESS, err) < 0)
		return -1;
	for (size_t i = 0; i < s->n_read; i++)
		if (allow(ruleset, s->read[i], READ_ACCESS, err) < 0)
			return -1;
	for (size_t i = 0; i < s->n_write; i++)
		if (allow(ruleset, s->write[i], WRITE_ACCESS, err) < 0)
			return -1;
	return 0;
}

/* The folders on the way may be closed to the role's user, so this is prepared before it becomes that.  -1 without err: this kernel has no Landlock. */
static int
open_rules(const struct sandbox *s, struct err *err)
{
	bool scoped = landlock_version() >= LANDLOCK_WITH_SCOPES;
	struct rules rules = { .files = ALL_ACCESS, .scopes = 3 }; /* neither signals nor abstract sockets reach beyond */
	int ruleset;

	if (landlock_version() < 1)
		return -1;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, scoped ? sizeof(rules) : sizeof(rules.files), 0);
	if (ruleset < 0)
		return err_errno(err, "sandbox: Landlock");
	if (allow_all(ruleset, s, err) == 0)
		return ruleset;
	close(ruleset);
	return -1;
}

static int
enforce(int ruleset, struct err *err)
{
	int status = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);

	close(ruleset);
	return status < 0 ? err_errno(err, "sandbox: Landlock") : 0;
}

static int
change_user(const struct sandbox *s, struct err *err)
{
	uid_t uid = s->uid;

	if (setgroups(s->n_groups, s->groups) < 0 || setresgid(s->gid, s->gid, s->gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_errno(err, "becoming user %u", uid);
	if (setresuid(0, 0, 0) == 0) /* it must not be undone */
		return err_set(err, ERR_BROKEN, "user %u can become root again", uid);
	return 0;
}

/* A root that stays root by its number is left no more than an ordinary user may do, also after exec. */
static int
drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_errno(err, "sandbox: capability %lu", cap);
	return syscall(SYS_capset, &header, none) < 0 ? err_errno(err, "sandbox: capabilities") : 0;
}

int
sandbox_enter(const struct sandbox *s, struct err *err)
{
	int ruleset = open_rules(s, err);

	if (err->kind != ERR_NONE)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, "no_new_privs");
	if (s->change_user && change_user(s, err) < 0)
		return -1;
	if (!s->change_user && geteuid() == 0 && drop_capabilities(err) < 0)
		return -1;
	if (ruleset >= 0 && enforce(ruleset, err) < 0)
		return -1;
	return syscall_filter_enter(SYSCALL_FILTER_ROLE, err);
}
