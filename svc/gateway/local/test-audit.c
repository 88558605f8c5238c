/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "gateway/local/audit.h"
#include "t.h"

struct desk {
	char *dir, *path, *older;
	struct loop *loop;
	struct pool *workers;
	struct audit *audit;
};

static struct desk
desk_open(const char *name, uint64_t max_bytes)
{
	struct desk d = { .dir = mem_textf("%s/%s", T_TMPDIR, name) };
	struct err err = ERR_INIT;

	CHECK_OK(file_make_dir(d.dir, 0700, &err), err);
	d.path = file_join(d.dir, "audit.log");
	d.older = file_join(d.dir, "audit.log.1");
	d.loop = loop_new("test");
	d.workers = pool_new("test", 1, 4);
	d.audit = audit_open(d.dir, max_bytes, d.loop, d.workers);
	return d;
}

/* As the gateway ends: the workers, the loop, then the log. */
static void
desk_close(struct desk *d)
{
	pool_free(d->workers);
	loop_finish(d->loop);
	audit_close(d->audit);
	loop_free(d->loop);
	mem_free(d->dir);
	mem_free(d->path);
	mem_free(d->older);
}

static char *
content(const char *path)
{
	struct buf text = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;

	if (file_load(&text, path, &err) < 0)
		return NULL;
	return buf_take_text(&text);
}

static char *
content_of(const char *dir, const char *name)
{
	OWN_TEXT path = mem_textf("%s/%s/%s", T_TMPDIR, dir, name);

	return content(path);
}

static void
check_content(const char *dir, const char *name, const char *wanted)
{
	OWN_TEXT text = content_of(dir, name);

	CHECK_STR(text, wanted);
}

TEST("what was put before the end is in the file, a line each, which nobody else reads")
{
	struct desk d = desk_open("lines", 1 << 20);
	struct stat st;

	audit_put(d.audit, "{\"a\":1}");
	audit_put(d.audit, "{\"b\":2}");
	desk_close(&d);
	check_content("lines", "audit.log", "{\"a\":1}\n{\"b\":2}\n");
	CHECK(stat(T_TMPDIR, &st) == 0);
	OWN_TEXT path = mem_textf("%s/lines/audit.log", T_TMPDIR);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
}

TEST("a line that a crash cut off is ended, and the next begins on its own")
{
	OWN_TEXT path = mem_textf("%s/torn/audit.log", T_TMPDIR);
	struct desk d = desk_open("torn", 1 << 20);
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, "{\"a\":1}\n{\"b", 11, 0600, &err), err);
	audit_put(d.audit, "{\"c\":3}");
	desk_close(&d);
	check_content("torn", "audit.log", "{\"a\":1}\n{\"b\n{\"c\":3}\n");
}

TEST("a file that has its size becomes the older one, whose place is taken by the next: both together keep to the limit")
{
	static const char line[] = "{\"padding\":\"0123456789012345678901234567890123456789\"}";
	OWN_TEXT older = NULL;
	OWN_TEXT newer = NULL;

	for (int i = 0; i < 50; i++) {
		struct desk d = desk_open("turns", 400);

		audit_put(d.audit, line);
		if (i == 49) {
			older = mem_text(d.older);
			newer = mem_text(d.path);
		}
		desk_close(&d);
	}
	OWN_TEXT old_text = content(older);
	OWN_TEXT new_text = content(newer);
	CHECK(old_text && new_text && strlen(old_text) + strlen(new_text) <= 400);
	CHECK(strlen(old_text) % sizeof(line) == 0 && strlen(new_text) % sizeof(line) == 0);
}

TEST("without a size there is no file")
{
	OWN_TEXT path = mem_textf("%s/none/audit.log", T_TMPDIR);
	struct desk d = desk_open("none", 0);

	CHECK(!audit_is_on(d.audit));
	audit_put(d.audit, "{}");
	desk_close(&d);
	CHECK(!file_exists(path));
}

TEST("what can't be written is counted, is no harm, and later lines are written when it is possible again")
{
	OWN_TEXT path = mem_textf("%s/blocked/audit.log", T_TMPDIR);
	struct desk d = desk_open("blocked", 1 << 20);
	struct err err = ERR_INIT;

	CHECK_OK(file_make_dir(path, 0700, &err), err);
	audit_put(d.audit, "{\"lost\":1}");
	desk_close(&d);
	CHECK(rmdir(path) == 0);
	d = desk_open("blocked", 1 << 20);
	audit_put(d.audit, "{\"kept\":1}");
	desk_close(&d);
	check_content("blocked", "audit.log", "{\"kept\":1}\n");
}

TEST("more than one file takes is written to both, whole lines, the newest last")
{
	struct desk d = desk_open("many", 1000);
	OWN_TEXT newest = NULL;
	OWN_TEXT older = NULL;
	char line[32], wanted[64];

	for (int i = 0; i < 200; i++) {
		snprintf(line, sizeof(line), "{\"number\":%06d}", i);
		audit_put(d.audit, line);
	}
	snprintf(wanted, sizeof(wanted), "%s\n", line);
	desk_close(&d);
	newest = content_of("many", "audit.log");
	older = content_of("many", "audit.log.1");
	CHECK(strlen(newest) <= 500 && strlen(older) <= 500 && strlen(newest) + strlen(older) > 600);
	CHECK_STR(newest + strlen(newest) - strlen(wanted), wanted);
	CHECK(*newest == '{' && *older == '{' && older[strlen(older) - 1] == '\n');
}
