/* SPDX-License-Identifier: Apache-2.0 */
/* Folders by descriptors. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/tree.h"

#define DEPTH_MAX 16 /* our own folders have three; deeper ones are somebody's game with our stack and descriptors */

static int
open_dir_at(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* For each entry of the folder, which is closed in the end. */
static int
for_each(int fd_take, int (*visit)(int dir, const char *name, const struct stat *st, unsigned depth, const void *arg),
	unsigned depth, const void *arg)
{
	DIR *dir = depth < DEPTH_MAX ? fdopendir(fd_take) : NULL;
	struct dirent *entry;
	int status = 0;

	if (!dir) {
		close(fd_take);
		errno = depth < DEPTH_MAX ? errno : ELOOP;
		return -1;
	}
	while (status == 0 && (entry = readdir(dir))) {
		struct stat st;

		if (text_is(entry->d_name, ".") || text_is(entry->d_name, ".."))
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			status = visit(dirfd(dir), entry->d_name, &st, depth, arg);
		else
			status = errno == ENOENT ? 0 : -1;
	}
	closedir(dir);
	return status;
}

/* -- Making and giving --------------------------------------------------------------------------------------------------------------- */

static int
open_own(const char *path, struct err *err)
{
	int fd = open_dir_at(AT_FDCWD, path);

	return fd < 0 ? err_errno(err, "%s: a folder must be here, and no link to one", path) : fd;
}

int
tree_make(const char *path, mode_t mode, struct tree_owner owner, struct err *err)
{
	int fd, status = 0;

	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_errno(err, "%s", path);
	fd = open_own(path, err);
	if (fd < 0)
		return -1;
	if ((geteuid() == 0 && fchown(fd, owner.uid, owner.gid) < 0) ||
		fchmod(fd, mode) < 0) /* in this order: a new owner takes modes away */
		status = err_errno(err, "%s", path);
	close(fd);
	return status;
}

static int
give_one(int dir, const char *name, const struct stat *listed, unsigned depth, const void *arg)
{
	const struct tree_owner *owner = arg;
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), status = 0;
	struct stat st = *listed;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	/* What is judged is what was opened, whatever has that name by now. */
	if (fstat(fd, &st) < 0)
		status = -1;
	else if ((st.st_uid != owner->uid || st.st_gid != owner->gid) && (S_ISDIR(st.st_mode) || st.st_nlink == 1))
		status = fchownat(fd, "", owner->uid, owner->gid, AT_EMPTY_PATH);
	if (status == 0 && S_ISDIR(st.st_mode)) {
		int below = open_dir_at(fd, ".");

		status = below < 0 ? -1 : for_each(below, give_one, depth + 1, owner);
	}
	close(fd);
	return status;
}

int
tree_give(const char *path, struct tree_owner owner, struct err *err)
{
	int fd;

	if (geteuid() != 0)
		return 0;
	fd = open_own(path, err);
	if (fd < 0)
		return -1;
	if (fchown(fd, owner.uid, owner.gid) < 0) {
		close(fd);
		return err_errno(err, "%s", path);
	}
	return for_each(fd, give_one, 0, &owner) < 0 ? err_errno(err, "giving %s to user %u", path, owner.uid) : 0;
}

/* -- Emptying ------------------------------------------------------------------------------------------------------------------------- */

static int
remove_one(int dir, const char *name, const struct stat *st, unsigned depth, const void *arg)
{
	int below, status;

	if (!S_ISDIR(st->st_mode)) {
		status = unlinkat(dir, name, 0);
	} else {
		below = open_dir_at(dir, name);
		status = below < 0 ? -1 : for_each(below, remove_one, depth + 1, arg);
		if (status == 0)
			status = unlinkat(dir, name, AT_REMOVEDIR);
	}
	return status < 0 && errno == ENOENT ? 0 : status;
}

int
tree_empty(const char *path, struct err *err)
{
	struct stat st;

	if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "%s", path);
	return remove_one(AT_FDCWD, path, &st, 0, NULL) < 0 ? err_errno(err, "emptying %s", path) : 0;
}
