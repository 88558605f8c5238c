/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/text.h"
#include "pki/root_line.h"
#include "pki/story.h"

/* -- What is told -------------------------------------------------------------------------------------------------------------------- */

static struct made
cross(const struct made *root, const struct made *by)
{
	struct err err = ERR_INIT;
	struct made made = { .cert = issue_cross(root->cert, &(struct issuer){ by->cert, by->key }, &err) };

	if (!made.cert)
		fail_msg("%s", err.text);
	return made;
}

/* A bundle, what a CA shows, and what has become of it. */
struct told {
	struct certs given, shown;
	struct root_line line;
	struct root_news news;
	struct buf retired;
	struct err err;
};

static void
told_clear(struct told *t)
{
	certs_clear(&t->given);
	certs_clear(&t->shown);
	root_line_clear(&t->line);
	root_news_clear(&t->news);
	buf_clear(&t->retired);
}

#define TOLD() ((struct told){ .retired = BUF_INIT(4096), .err = ERR_INIT })

static bool
learn(struct told *t)
{
	struct root_answer answer = { &t->shown, t->retired.len > 0 ? buf_text(&t->retired) : NULL };

	root_news_clear(&t->news);
	return root_line_learn(&t->line, &t->given, &answer, STORY_NOW, &t->news, &t->err);
}

/* The names of those that are trusted. */
static char *
trusted(const struct told *t)
{
	CLEAR(certs) roots = { 0 };
	struct buf names = BUF_INIT(4096);

	root_line_apply(&t->line, &t->given, &roots);
	for (size_t i = 0; i < roots.n; i++)
		buf_putf(&names, "%s%s", i > 0 ? " " : "", cert_common_name(roots.item[i]));
	return buf_take_text(&names);
}

#define CHECK_TRUSTED(told, names)                                                                                                 \
	do {                                                                                                                       \
		OWN_TEXT found = trusted(told);                                                                                    \
		CHECK_STR(found, names);                                                                                           \
	} while (0)

static void
show(struct told *t, const struct made *one)
{
	certs_add(&t->shown, one->cert);
}

static void
announce(struct told *t, const struct made *old, const struct made *new)
{
	CLEAR(made) there = cross(new, old);
	CLEAR(made) back = cross(old, new);

	show(t, old);
	show(t, new);
	show(t, &there);
	show(t, &back);
}

/* -- Another root -------------------------------------------------------------------------------------------------------------------- */

TEST("a root that a trusted one has signed crosswise is taken, once, and stands beside it")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(told) t = TOLD();

	certs_add(&t.given, old.cert);
	announce(&t, &old, &new);
	CHECK(learn(&t));
	CHECK_INT(t.news.taken.n, 1);
	CHECK_TRUSTED(&t, "old new");
	CHECK(!learn(&t));
	CHECK_INT(t.news.taken.n + t.news.not_signed.n + t.news.left.n + t.news.kept.n, 0);
}

TEST("a root that is only shown is not taken: not alone, not with what it signed itself, not with what another stranger signed")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(made) stranger = story_root("stranger");
	CLEAR(made) back = cross(&old, &new);
	CLEAR(made) by_stranger = cross(&new, &stranger);
	CLEAR(told) t = TOLD();

	certs_add(&t.given, old.cert);
	show(&t, &new);
	show(&t, &back);
	show(&t, &stranger);
	show(&t, &by_stranger);
	CHECK(!learn(&t));
	CHECK_INT(t.news.not_signed.n, 2);
	CHECK_TRUSTED(&t, "old");
}

TEST("one that claims the name of the trusted root has not its signature")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) namesake = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(told) t = TOLD();

	certs_add(&t.given, old.cert);
	announce(&t, &namesake, &new);
	CHECK(!learn(&t));
	CHECK_TRUSTED(&t, "old");
}

TEST("a CA that was signed with limits is no root without them")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) limited = story_root("new");
	CLEAR(made) between = { 0 };
	CLEAR(told) t = TOLD();
	struct err err = ERR_INIT;

	between.cert = issue_cert(&(struct profile){ .kind = ISSUE_INTERMEDIATE,
					  .common_name = "new",
					  .path_len = 0,
					  .not_before = STORY_NOW - STORY_DAY,
					  .not_after = STORY_NOW + STORY_DAY },
		key_pkey(limited.key), &(struct issuer){ old.cert, old.key }, &err);
	assert_non_null(between.cert);
	certs_add(&t.given, old.cert);
	show(&t, &limited);
	show(&t, &between);
	CHECK(cert_is_same_ca(between.cert, limited.cert));
	CHECK(!learn(&t));
	CHECK_INT(t.news.not_signed.n, 1);
}

TEST("an intermediate CA makes itself no root by a certificate of its own name")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) between = story_intermediate("new", &old);
	CLEAR(made) own = { 0 };
	CLEAR(told) t = TOLD();
	struct err err = ERR_INIT;

	own.cert = issue_cert(&(struct profile){ .kind = ISSUE_ROOT,
				      .common_name = "new",
				      .path_len = -1,
				      .not_before = STORY_NOW - STORY_DAY,
				      .not_after = STORY_NOW + STORY_DAY },
		key_pkey(between.key), &(struct issuer){ NULL, between.key }, &err);
	assert_non_null(own.cert);
	certs_add(&t.given, old.cert);
	show(&t, &own);
	show(&t, &between);
	CHECK(cert_is_same_ca(between.cert, own.cert));
	root_line_put_fingerprint(&t.retired, old.cert);
	CHECK(!learn(&t));
	CHECK_INT(t.news.not_signed.n, 1);
	CHECK_TRUSTED(&t, "old");
}

TEST("who signs the root of another CA crosswise can't have it retired")
{
	CLEAR(made) own = story_root("own");
	CLEAR(made) other = story_root("other");
	CLEAR(made) stolen = cross(&other, &own);
	CLEAR(told) t = TOLD();

	certs_add(&t.given, own.cert);
	certs_add(&t.given, other.cert);
	show(&t, &own);
	show(&t, &other);
	show(&t, &stolen);
	(void)learn(&t);
	root_line_put_fingerprint(&t.retired, other.cert);
	(void)learn(&t);
	CHECK_INT(t.news.kept.n, 1);
	CHECK_TRUSTED(&t, "own other");
}

TEST("a cross certificate that is over says nothing any more")
{
	CLEAR(made) old = story_make(
		(struct profile){
			.kind = ISSUE_ROOT, .common_name = "old", .path_len = -1, .not_after = STORY_NOW - STORY_DAY / 2 },
		NULL);
	CLEAR(made) new = story_root("new");
	CLEAR(told) t = TOLD();

	certs_add(&t.given, old.cert);
	announce(&t, &old, &new);
	CHECK(!learn(&t));
	CHECK_TRUSTED(&t, "old");
}

TEST("one that follows one that followed is taken in the same answer, in whatever order they stand")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(made) newer = story_root("newer");
	CLEAR(told) t = TOLD();

	certs_add(&t.given, old.cert);
	announce(&t, &new, &newer);
	announce(&t, &old, &new);
	CHECK(learn(&t));
	CHECK_TRUSTED(&t, "old new newer");
}

TEST("what follows a root that the operator took out of the bundle goes with it")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(made) other = story_root("other");
	CLEAR(told) t = TOLD();

	certs_add(&t.given, old.cert);
	announce(&t, &old, &new);
	CHECK(learn(&t));
	certs_clear(&t.given);
	certs_add(&t.given, other.cert);
	CHECK_TRUSTED(&t, "other");
}

/* -- One less ------------------------------------------------------------------------------------------------------------------------ */

/* Old and new are both trusted; from now on the new one alone is shown. */
static void
begin_after(struct told *t, const struct made *old, const struct made *new)
{
	certs_add(&t->given, old->cert);
	announce(t, old, new);
	CHECK(learn(t));
	certs_clear(&t->shown);
	show(t, new);
}

TEST("a root leaves when its CA says that it is retired, and not because it is not shown; nor does it come back")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(told) t = TOLD();

	begin_after(&t, &old, &new);
	CHECK(!learn(&t));
	CHECK_TRUSTED(&t, "old new");
	root_line_put_fingerprint(&t.retired, old.cert);
	CHECK(learn(&t));
	CHECK_INT(t.news.left.n, 1);
	CHECK_TRUSTED(&t, "new");
	buf_reset(&t.retired);
	announce(&t, &new, &old);
	CHECK(!learn(&t));
	CHECK_TRUSTED(&t, "new");
}

TEST("an announced root that was given up leaves, too")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(told) t = TOLD();

	begin_after(&t, &old, &new);
	certs_clear(&t.shown);
	show(&t, &old);
	root_line_put_fingerprint(&t.retired, new.cert);
	CHECK(learn(&t));
	CHECK_TRUSTED(&t, "old");
}

TEST("nobody retires the roots of another CA, nor the last one")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(made) other = story_root("other");
	CLEAR(told) t = TOLD();

	begin_after(&t, &old, &new);
	certs_add(&t.given, other.cert);
	root_line_put_fingerprint(&t.retired, other.cert);
	CHECK(!learn(&t));
	CHECK_INT(t.news.kept.n, 1);
	CHECK_TRUSTED(&t, "old other new");
	root_line_put_fingerprint(&t.retired, old.cert);
	root_line_put_fingerprint(&t.retired, new.cert);
	CHECK(!learn(&t));
	CHECK_INT(t.news.kept.n, 3);
	CHECK_TRUSTED(&t, "old other new");
}

TEST("one root retires after the other, and the first one's bundle is still the beginning")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(made) newer = story_root("newer");
	CLEAR(told) t = TOLD();

	begin_after(&t, &old, &new);
	root_line_put_fingerprint(&t.retired, old.cert);
	announce(&t, &new, &newer);
	CHECK(learn(&t));
	CHECK_TRUSTED(&t, "new newer");
	certs_clear(&t.shown);
	show(&t, &newer);
	root_line_put_fingerprint(&t.retired, new.cert);
	CHECK(learn(&t));
	CHECK_TRUSTED(&t, "newer");
}

TEST("rubbish where fingerprints belong changes nothing, not even what is announced beside it")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(told) t = TOLD();

	certs_add(&t.given, old.cert);
	announce(&t, &old, &new);
	buf_puts(&t.retired, "all of them");
	CHECK(!learn(&t));
	CHECK_CONTAINS(t.err.text, "all of them");
	CHECK_TRUSTED(&t, "old");
}

TEST("fingerprints are hex between commas, 64 at most")
{
	uint8_t out[ROOT_LINE_MAX][DIGEST_SHA256_LEN];
	CLEAR(buf) text = BUF_INIT(64 * 1024);
	size_t n;

	CHECK(root_line_parse_fingerprints("", out, &n) && n == 0);
	CHECK(root_line_parse_fingerprints(" \t", out, &n) && n == 0);
	CHECK(!root_line_parse_fingerprints(",", out, &n));
	CHECK(!root_line_parse_fingerprints("00", out, &n));
	for (int i = 0; i < ROOT_LINE_MAX; i++)
		buf_putf(&text, "%s%064x", i > 0 ? " ,\t" : "", i);
	CHECK(root_line_parse_fingerprints(buf_text(&text), out, &n));
	CHECK_INT(n, ROOT_LINE_MAX);
	CHECK_INT(out[7][31], 7);
	buf_putf(&text, ",%064x", 99);
	CHECK(!root_line_parse_fingerprints(buf_text(&text), out, &n));
}

TEST("a line that somebody has written who has no key of a trusted root makes nobody trust anything")
{
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(made) stranger = story_root("stranger");
	CLEAR(made) by_stranger = cross(&new, &stranger);
	CLEAR(told) t = TOLD();

	begin_after(&t, &old, &new);
	cert_free(t.line.step[0].root);
	t.line.step[0].root = cert_ref(stranger.cert);
	CHECK_TRUSTED(&t, "old");
	cert_free(t.line.step[0].root);
	t.line.step[0].root = cert_ref(new.cert);
	CHECK_TRUSTED(&t, "old new");
	cert_free(t.line.step[0].cross);
	t.line.step[0].cross = cert_ref(by_stranger.cert);
	CHECK_TRUSTED(&t, "old");
}

/* -- Its file ------------------------------------------------------------------------------------------------------------------------ */

TEST("a line is read as it was written; one of another version, with rubbish or too long is refused as a whole")
{
	static const char *const bad[] = { "", "[]", "{\"version\":2}", "{\"version\":1,\"steps\":[{}]}",
		"{\"version\":1,\"steps\":[{\"root\":\"x\",\"after\":\"\"}]}", "{\"version\":1,\"retired\":[7]}",
		"{\"version\":1,\"retired\":[\"00\"]}" };
	CLEAR(made) old = story_root("old");
	CLEAR(made) new = story_root("new");
	CLEAR(told) t = TOLD();
	OWN_TEXT path = mem_textf("%s/line.json", T_TMPDIR);

	begin_after(&t, &old, &new);
	root_line_put_fingerprint(&t.retired, old.cert);
	CHECK(learn(&t));
	CHECK_INT(root_line_save(&t.line, path, &t.err), 0);
	root_line_clear(&t.line);
	CHECK_TRUSTED(&t, "old");
	CHECK_INT(root_line_load(&t.line, path, &t.err), 0);
	CHECK_TRUSTED(&t, "new");
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct root_line line;
		struct err err = ERR_INIT;

		CHECK_INT(root_line_parse(&line, bad[i], strlen(bad[i]), &err), -1);
		CHECK_INT(line.n + line.n_retired, 0);
	}
}
