/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files, read with a ceiling and replaced atomically. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"

#define TEMP_SUFFIX ".tmp"
#define RANDOM_DIGITS 16

/* For tests: the n-th of write, fsync and rename from now fails with EIO; 0: none. */
int file_fault_after;

static bool
fault(void)
{
	if (file_fault_after == 0 || --file_fault_after > 0)
		return false;
	errno = EIO;
	return true;
}

static int
check_regular(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "%s: not a regular file", path);
	return 0;
}

static int
read_all(struct buf *out, int fd, const char *path, struct err *err)
{
	uint8_t piece[16384];
	ssize_t got;

	while (!out->failed && (got = read(fd, piece, sizeof(piece))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "reading %s", path);
		buf_put(out, piece, (size_t)got);
		mem_wipe(piece, (size_t)got);
	}
	if (out->failed)
		return err_set(err, ERR_LIMIT, "%s: larger than the %u bytes that are accepted here", path, out->max);
	return 0;
}

/* The buffer as it was when it had `len` bytes: outputs are untouched on failure. */
static void
put_back(struct buf *out, size_t len, bool failed)
{
	if (out->data)
		mem_wipe(out->data + len, out->len - len + 1);
	buf_cut(out, len);
	out->failed = failed;
}

int
file_load(struct buf *out, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), status;
	size_t before = out->len;
	bool failed_before = out->failed;

	if (fd < 0 && errno == ENXIO) /* a socket */
		return err_set(err, ERR_INVALID, "%s: not a regular file", path);
	if (fd < 0)
		return err_errno(err, "%s", path);
	status = check_regular(fd, path, err) < 0 ? -1 : read_all(out, fd, path, err);
	close(fd);
	if (status < 0)
		put_back(out, before, failed_before);
	return status;
}

static int
write_all(int fd, const void *data, size_t len)
{
	const uint8_t *at = data;

	if (fault())
		return -1;
	while (len > 0) {
		ssize_t put = write(fd, at, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		at += put;
		len -= (size_t)put;
	}
	return 0;
}

static char *
dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return mem_text(".");
	return slash == path ? mem_text("/") : mem_textn(path, (size_t)(slash - path));
}

int
file_sync_dir(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = 0;

	if (fd < 0)
		return err_errno(err, "%s", path);
	if (fault() || fsync(fd) < 0)
		status = err_errno(err, "syncing %s", path);
	close(fd);
	return status;
}

static int
save_and_rename(const char *path, const char *temp, const void *data, size_t len, mode_t mode, bool synced, struct err *err)
{
	int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(err, "%s", path);
	if (fchmod(fd, mode) < 0 || write_all(fd, data, len) < 0 || (synced && (fault() || fsync(fd) < 0))) {
		int number = errno;

		close(fd);
		errno = number;
		return err_errno(err, "writing %s", path);
	}
	close(fd);
	if (fault() || rename(temp, path) < 0)
		return err_errno(err, "replacing %s", path);
	return 0;
}

static int
save(const char *path, const void *data, size_t len, mode_t mode, bool synced, struct err *err)
{
	OWN_TEXT dir = dir_of(path);
	const char *slash = strrchr(path, '/');
	OWN_TEXT temp = mem_textf("%s/.%s.%016llx" TEMP_SUFFIX, dir, slash ? slash + 1 : path, (unsigned long long)random_u64());

	if (save_and_rename(path, temp, data, len, mode, synced, err) < 0) {
		unlink(temp);
		return -1;
	}
	return synced ? file_sync_dir(dir, err) : 0;
}

int
file_save(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	return save(path, data, len, mode, true, err);
}

int
file_save_unsynced(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	return save(path, data, len, mode, false, err);
}

static bool
is_leftover(const char *name)
{
	size_t len = strlen(name), tail = strlen(TEMP_SUFFIX);

	return name[0] == '.' && len > tail + RANDOM_DIGITS && strcmp(name + len - tail, TEMP_SUFFIX) == 0 &&
	       strspn(name + len - tail - RANDOM_DIGITS, "0123456789abcdef") == RANDOM_DIGITS;
}

void
file_remove_leftovers(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (is_leftover(entry->d_name))
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}

int
file_remove(const char *path, struct err *err)
{
	OWN_TEXT dir = dir_of(path);

	if (unlink(path) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "removing %s", path);
	return file_sync_dir(dir, err);
}

struct file_version
file_version(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return (struct file_version){ 0 };
	return (struct file_version){ st.st_ino, (uint64_t)st.st_size, st.st_ctim.tv_sec, st.st_ctim.tv_nsec };
}

bool
file_version_is(const struct file_version *a, const struct file_version *b)
{
	return a->inode == b->inode && a->len == b->len && a->changed_s == b->changed_s && a->changed_ns == b->changed_ns;
}

bool
file_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static int
make_one(const char *path, mode_t mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return err_errno(err, "making the folder %s", path);
	if (stat(path, &st) < 0)
		return err_errno(err, "making the folder %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_INVALID, "%s: not a folder", path);
	return 0;
}

int
file_make_dir(const char *path, mode_t mode, struct err *err)
{
	OWN_TEXT copy = mem_text(path);

	for (size_t len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
		copy[len - 1] = '\0'; /* or the last folder would be taken for a parent, and get a parent's mode */
	for (char *at = copy + 1; *copy && *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (make_one(copy, 0755, err) < 0)
			return -1;
		*at = '/';
	}
	return make_one(copy, mode, err);
}

int
file_lock(int dir_fd, const char *name, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(err, "cannot open %s", name);
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return fd;
	if (errno == EAGAIN || errno == EACCES)
		(void)err_set(err, ERR_CONFLICT, "in use by another process");
	else
		(void)err_errno(err, "cannot lock %s", name);
	close(fd);
	return -1;
}

char *
file_join(const char *dir, const char *name)
{
	return mem_textf("%s%s%s", dir, *dir && dir[strlen(dir) - 1] == '/' ? "" : "/", name);
}

char *
file_own_dir(void)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (len < 0)
		return mem_text(".");
	path[len] = '\0';
	return dir_of(path);
}
