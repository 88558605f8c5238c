/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "identityd/cloud_roots.h"
#include "pki/root_line.h"
#include "pki/story.h"

/* An operator's bundle with one root, and the line of what follows it. */
struct box {
	char *bundle, *line;
	json_t *paths;
	struct made old;
	struct cloud_roots roots;
};

static void
save(const char *path, const struct cert *cert)
{
	CLEAR(buf) pem = BUF_INIT(65536);
	struct err err = ERR_INIT;

	cert_put_pem(cert, &pem);
	CHECK_OK(file_save(path, pem.data, pem.len, 0600, &err), err);
}

static struct box
box_new(void)
{
	static int n;
	struct box b = { .bundle = mem_textf("%s/bundle-%d.pem", T_TMPDIR, ++n),
		.line = mem_textf("%s/line-%d.json", T_TMPDIR, n) };
	struct err err = ERR_INIT;

	clock_set_for_test(STORY_NOW);
	b.old = story_root("old");
	save(b.bundle, b.old.cert);
	b.paths = json_pack("[s]", b.bundle);
	CHECK_OK(cloud_roots_open(&b.roots, b.paths, b.line, &err), err);
	return b;
}

static void
box_clear(struct box *b)
{
	cloud_roots_clear(&b->roots);
	made_clear(&b->old);
	json_decref(b->paths);
	mem_free(b->bundle);
	mem_free(b->line);
	clock_set_for_test(0);
}

static void
announce(struct box *b)
{
	CLEAR(made) new = story_root("new");
	CLEAR(root_line) line = { 0 };
	CLEAR(root_news) news = { 0 };
	CLEAR(certs) given = { 0 };
	CLEAR(certs) shown = { 0 };
	struct err err = ERR_INIT;
	OWN(cert) cross = issue_cross(new.cert, &(struct issuer){ b->old.cert, b->old.key }, &err);

	certs_add(&given, b->old.cert);
	certs_add(&shown, new.cert);
	certs_add(&shown, cross);
	CHECK(root_line_learn(&line, &given, &(struct root_answer){ &shown, NULL }, STORY_NOW, &news, &err));
	CHECK_OK(root_line_save(&line, b->line, &err), err);
}

static size_t
count(struct box *b)
{
	OWN(anchors) now = cloud_roots_now(&b->roots);

	return anchors_certs(now)->n;
}

TEST("what has followed the operator's roots counts with the next call")
{
	CLEAR(box) b = box_new();

	CHECK_INT(count(&b), 1);
	announce(&b);
	CHECK_INT(count(&b), 2);
}

TEST("what could not be read is read with the next call, though the line is no other one since: till then the roots stay")
{
	CLEAR(box) b = box_new();

	announce(&b);
	CHECK_INT(unlink(b.bundle), 0); /* as for a moment when somebody replaces it by hand */
	CHECK_INT(count(&b), 1);
	CHECK_INT(count(&b), 1);
	save(b.bundle, b.old.cert);
	CHECK_INT(count(&b), 2);
}

TEST("a line that is damaged changes nothing, and the one after it counts")
{
	CLEAR(box) b = box_new();
	struct err err = ERR_INIT;

	CHECK_OK(file_save(b.line, "{}", 2, 0600, &err), err);
	CHECK_INT(count(&b), 1);
	announce(&b);
	CHECK_INT(count(&b), 2);
}
