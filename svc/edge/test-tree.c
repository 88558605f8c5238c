/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "edge/tree.h"
#include "t.h"

#define OTHER ((struct tree_owner){ .uid = 61840, .gid = 61841 })

static char *
place(const char *name)
{
	return mem_textf("%s/%s", T_TMPDIR, name);
}

static void
put(const char *path)
{
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, "x", 1, 0600, &err), err);
}

TEST("a folder is made with its mode whatever the umask is, and met again with another it gets that")
{
	OWN_TEXT path = place("made");
	struct tree_owner own = { .uid = geteuid(), .gid = getegid() };
	struct err err = ERR_INIT;
	struct stat st;
	mode_t before = umask(0077);

	CHECK_OK(tree_make(path, 0755, own, &err), err);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0755);
	CHECK_OK(tree_make(path, 0711, own, &err), err);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0711);
	umask(before);
}

TEST("a link where a folder should be is refused, to make and to give")
{
	OWN_TEXT link = place("link");
	struct tree_owner own = { .uid = geteuid(), .gid = getegid() };
	struct err err = ERR_INIT;

	CHECK(symlink("/etc", link) == 0);
	CHECK(tree_make(link, 0700, own, &err) < 0);
	CHECK_ERR(err, err.kind, "no link to one");
	if (geteuid() == 0) {
		struct err again = ERR_INIT;

		CHECK(tree_give(link, OTHER, &again) < 0);
	}
}

TEST("a folder is given away with all that is in it; what a link in it points to is not, nor is a file with a second name "
     "elsewhere")
{
	OWN_TEXT dir = place("given");
	OWN_TEXT below = place("given/below");
	OWN_TEXT file = place("given/below/file");
	OWN_TEXT foreign = place("foreign");
	OWN_TEXT second = place("given/second");
	OWN_TEXT link = place("given/link");
	struct err err = ERR_INIT;
	struct stat st;

	if (geteuid() != 0)
		skip();
	CHECK(mkdir(dir, 0700) == 0 && mkdir(below, 0700) == 0);
	put(file);
	put(foreign);
	CHECK(linkat(AT_FDCWD, foreign, AT_FDCWD, second, 0) == 0 && symlink(foreign, link) == 0);
	CHECK_OK(tree_give(dir, OTHER, &err), err);
	CHECK(stat(dir, &st) == 0 && st.st_uid == OTHER.uid && st.st_gid == OTHER.gid);
	CHECK(stat(below, &st) == 0 && st.st_uid == OTHER.uid);
	CHECK(stat(file, &st) == 0 && st.st_uid == OTHER.uid);
	CHECK(stat(foreign, &st) == 0 && st.st_uid == 0);
	CHECK(lstat(link, &st) == 0 && st.st_uid == OTHER.uid);
}

TEST("emptying takes the folder and what is in it, and leaves what a link in it points to")
{
	OWN_TEXT dir = place("full");
	OWN_TEXT below = place("full/below");
	OWN_TEXT file = place("full/below/file");
	OWN_TEXT kept_dir = place("kept");
	OWN_TEXT kept = place("kept/file");
	OWN_TEXT link = place("full/link");
	struct err err = ERR_INIT;

	CHECK(mkdir(dir, 0700) == 0 && mkdir(below, 0700) == 0 && mkdir(kept_dir, 0700) == 0);
	put(file);
	put(kept);
	CHECK(symlink(kept_dir, link) == 0);
	CHECK_OK(tree_empty(dir, &err), err);
	CHECK(!file_exists(dir) && file_exists(kept));
	CHECK_OK(tree_empty(dir, &err), err); /* absent is fine */
}

TEST("a folder that is deeper than any of ours is refused, not followed until descriptors or the stack run out")
{
	OWN_TEXT top = place("deep");
	struct buf path = BUF_INIT(4096);
	struct err err = ERR_INIT;

	buf_puts(&path, top);
	for (int i = 0; i < 40; i++) {
		CHECK(mkdir(buf_text(&path), 0700) == 0);
		buf_puts(&path, "/d");
	}
	CHECK(tree_empty(top, &err) < 0);
	buf_clear(&path);
}
