/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/mem.h"
#include "t.h"

/* A folder of this test's own. */
static char *
fresh_dir(const char *name)
{
	char *dir = file_join(T_TMPDIR, name);
	struct err err = ERR_INIT;

	CHECK_OK(file_make_dir(dir, 0700, &err), err);
	return dir;
}

static size_t
count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	CHECK(d != NULL);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2; /* without . and .. */
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	CHECK(stat(path, &st) == 0);
	return st.st_mode & 07777;
}

static void
check_content(const char *path, const char *want)
{
	struct buf b = BUF_INIT(1000);
	struct err err = ERR_INIT;

	CHECK_OK(file_load(&b, path, &err), err);
	CHECK_STR(buf_text(&b), want);
	buf_clear(&b);
}

TEST("what was saved is loaded, with exactly the mode that was asked for")
{
	OWN_TEXT path = file_join(T_TMPDIR, "saved");
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, "hello", 5, 0640, &err), err);
	check_content(path, "hello");
	CHECK_INT(mode_of(path), 0640);
	CHECK_OK(file_save(path, NULL, 0, 0600, &err), err);
	check_content(path, "");
	CHECK_INT(mode_of(path), 0600);
}

TEST("loading appends to what the buffer has")
{
	OWN_TEXT path = file_join(T_TMPDIR, "appended");
	struct buf b = BUF_INIT(100);
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, "world", 5, 0600, &err), err);
	buf_puts(&b, "hello ");
	CHECK_OK(file_load(&b, path, &err), err);
	CHECK_STR(buf_text(&b), "hello world");
	buf_clear(&b);
}

TEST("a file of exactly the maximum is loaded; one byte more is refused and leaves the buffer as it was")
{
	OWN_TEXT path = file_join(T_TMPDIR, "ceiling");
	struct buf b = BUF_INIT(40000);
	struct err err = ERR_INIT;
	char *bytes = mem_new(40001);

	CHECK_OK(file_save(path, bytes, 40000, 0600, &err), err);
	CHECK_OK(file_load(&b, path, &err), err);
	CHECK_INT(b.len, 40000);
	buf_reset(&b);
	buf_puts(&b, "before");
	CHECK_OK(file_save(path, bytes, 40001 - 6, 0600, &err), err);
	CHECK_INT(file_load(&b, path, &err), -1);
	CHECK_ERR(err, ERR_LIMIT, "larger than the 40000 bytes");
	CHECK_CONTAINS(err.text, path);
	CHECK(!b.failed);
	CHECK_INT(b.len, 6);
	CHECK_STR(buf_text(&b), "before");
	mem_free(bytes);
	buf_clear(&b);
}

TEST("a file that is not there is MISSING and named")
{
	OWN_TEXT path = file_join(T_TMPDIR, "absent");
	struct buf b = BUF_INIT(100);
	struct err err = ERR_INIT;

	CHECK_INT(file_load(&b, path, &err), -1);
	CHECK_ERR(err, ERR_MISSING, path);
	CHECK(!file_exists(path));
}

TEST("a folder, a FIFO and a socket are refused at once; a symbolic link to a file is fine")
{
	OWN_TEXT dir = fresh_dir("kinds");
	OWN_TEXT fifo = file_join(dir, "fifo");
	OWN_TEXT sock = file_join(dir, "sock");
	OWN_TEXT file = file_join(dir, "file");
	OWN_TEXT link = file_join(dir, "link");
	const char *const bad[] = { dir, fifo, sock };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct buf b = BUF_INIT(100);
	struct err err = ERR_INIT;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", sock);
	CHECK(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	CHECK(mkfifo(fifo, 0600) == 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		CHECK_INT(file_load(&b, bad[i], &err), -1);
		CHECK_ERR(err, ERR_INVALID, "not a regular file");
		CHECK_CONTAINS(err.text, bad[i]);
	}
	CHECK_OK(file_save(file, "x", 1, 0600, &err), err);
	CHECK(symlink("file", link) == 0);
	check_content(link, "x");
	close(fd);
}

TEST("a save that fails at any step leaves the old content or the new, and no temporary file")
{
	OWN_TEXT dir = fresh_dir("faults");
	OWN_TEXT path = file_join(dir, "state");
	struct err err = ERR_INIT;
	int n = 1;

	CHECK_OK(file_save(path, "old", 3, 0600, &err), err);
	for (;; n++) {
		int status;

		file_fault_after = n;
		status = file_save(path, "new", 3, 0600, &err);
		if (status == 0)
			break;
		CHECK_INT(file_fault_after, 0);
		CHECK_ERR(err, ERR_BROKEN, dir);
		CHECK_INT(count_entries(dir), 1);
		check_content(path, n <= 3 ? "old" : "new"); /* write, fsync, rename; then the folder */
	}
	file_fault_after = 0;
	CHECK_INT(n, 5);
	check_content(path, "new");
}

TEST("saving into a folder that is not there is MISSING and names the file")
{
	OWN_TEXT path = file_join(T_TMPDIR, "nowhere/state");
	struct err err = ERR_INIT;

	CHECK_INT(file_save(path, "x", 1, 0600, &err), -1);
	CHECK_ERR(err, ERR_MISSING, path);
}

TEST("a path without a folder is one in the current folder")
{
	OWN_TEXT dir = fresh_dir("current");
	OWN_TEXT path = file_join(dir, "plain");
	struct err err = ERR_INIT;
	char before[4096];

	CHECK(getcwd(before, sizeof(before)) != NULL);
	CHECK(chdir(dir) == 0);
	CHECK_OK(file_save("plain", "x", 1, 0600, &err), err);
	check_content(path, "x");
	CHECK_OK(file_remove("plain", &err), err);
	CHECK(!file_exists(path));
	CHECK(chdir(before) == 0);
}

TEST("removing twice is fine; removing a folder is not")
{
	OWN_TEXT dir = fresh_dir("removed");
	OWN_TEXT path = file_join(dir, "x");
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, "x", 1, 0600, &err), err);
	CHECK_OK(file_remove(path, &err), err);
	CHECK(!file_exists(path));
	CHECK_OK(file_remove(path, &err), err);
	CHECK_INT(file_remove(dir, &err), -1);
	CHECK_CONTAINS(err.text, dir);
}

TEST("a folder is made with its parents, and the mode is that of the last, however the path ends")
{
	static const char *const names[] = { "a/b/c", "d//e/", "f///" };
	struct err err = ERR_INIT;
	mode_t before = umask(0022);

	for (size_t i = 0; i < COUNT(names); i++) {
		OWN_TEXT path = file_join(T_TMPDIR, names[i]);

		CHECK_OK(file_make_dir(path, 0700, &err), err);
		CHECK_INT(mode_of(path), 0700);
		CHECK_OK(file_make_dir(path, 0755, &err), err);
		CHECK_INT(mode_of(path), 0700);
	}
	umask(before);
	CHECK_OK(file_make_dir("/", 0755, &err), err);
}

TEST("a lock is one's own until it is closed, whatever else of the file is closed before")
{
	OWN_TEXT dir = fresh_dir("locked");
	OWN_TEXT path = file_join(dir, "lock");
	struct err err = ERR_INIT;
	int fd = file_lock(AT_FDCWD, path, &err);

	CHECK(fd >= 0);
	CHECK_INT(file_lock(AT_FDCWD, path, &err), -1);
	CHECK_ERR(err, ERR_CONFLICT, "in use by another process");
	close(open(path, O_RDONLY));
	CHECK_INT(file_lock(AT_FDCWD, path, &err), -1);
	close(fd);
	fd = file_lock(AT_FDCWD, path, &err);
	CHECK(fd >= 0);
	close(fd);
}

TEST("where something else stands, no folder can be made")
{
	OWN_TEXT dir = fresh_dir("blocked");
	OWN_TEXT file = file_join(dir, "file");
	OWN_TEXT below = file_join(file, "x");
	OWN_TEXT dangling = file_join(dir, "dangling");
	struct err err = ERR_INIT;

	CHECK_OK(file_save(file, "x", 1, 0600, &err), err);
	CHECK(symlink("nowhere", dangling) == 0);
	CHECK_INT(file_make_dir(file, 0700, &err), -1);
	CHECK_ERR(err, ERR_INVALID, file);
	CHECK_INT(file_make_dir(below, 0700, &err), -1);
	CHECK_ERR(err, ERR_INVALID, file);
	CHECK_INT(file_make_dir(dangling, 0700, &err), -1);
	CHECK_ERR(err, ERR_MISSING, dangling);
	CHECK_INT(file_make_dir("", 0700, &err), -1);
}

TEST("joining puts exactly one slash between")
{
	OWN_TEXT a = file_join("/var", "x");
	OWN_TEXT b = file_join("/var/", "x");
	OWN_TEXT c = file_join("/", "x");

	CHECK_STR(a, "/var/x");
	CHECK_STR(b, "/var/x");
	CHECK_STR(c, "/x");
}

TEST("the own folder is where this program stands")
{
	OWN_TEXT dir = file_own_dir();
	OWN_TEXT self = file_join(dir, program_invocation_short_name);

	CHECK(file_exists(self));
}

TEST("what a killed file_save left is removed, and nothing else")
{
	OWN_TEXT dir = fresh_dir("leftovers");
	static const char *const names[] = { ".device.key.0123456789abcdef.tmp", "device.key", ".hidden", ".notes.tmp",
		".a.0123456789ABCDEF.tmp" };
	struct err err = ERR_INIT;

	for (size_t i = 0; i < COUNT(names); i++) {
		OWN_TEXT path = file_join(dir, names[i]);

		CHECK_OK(file_save(path, "x", 1, 0600, &err), err);
	}
	file_remove_leftovers(dir);
	for (size_t i = 0; i < COUNT(names); i++) {
		OWN_TEXT path = file_join(dir, names[i]);

		CHECK_INT(file_exists(path), i > 0);
	}
}
