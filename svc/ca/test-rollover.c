/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rollover.h"

#include "base/text.h"
#include "pki/story.h"

struct site {
	struct made old, new, third;
	struct rollover r;
};

static void
site_clear(struct site *s)
{
	made_clear(&s->old);
	made_clear(&s->new);
	made_clear(&s->third);
	rollover_clear(&s->r);
}

static struct site
begun(void)
{
	struct site s = { .old = story_root("old"), .new = story_root("new"), .third = story_root("third") };
	struct err err = ERR_INIT;

	CHECK_OK(rollover_begin(&s.r, s.old.cert, STORY_NOW, &err), err);
	return s;
}

static int
announce(struct site *s, const struct made *next, const struct made *before, struct err *err)
{
	OWN(cert) forth = issue_cross(next->cert, &(struct issuer){ before->cert, before->key }, err);
	OWN(cert) back = issue_cross(before->cert, &(struct issuer){ next->cert, next->key }, err);

	return rollover_announce(&s->r, next->cert, forth, back, STORY_NOW + 1, err);
}

static void
check_bundle(const struct rollover *r, const char *wanted)
{
	CLEAR(buf) said = BUF_INIT(1024);
	CLEAR(certs) bundle = { 0 };

	rollover_bundle(r, &bundle);
	for (size_t i = 0; i < bundle.n; i++)
		buf_putf(&said, "%s ", cert_subject(bundle.item[i]));
	CHECK_STR(buf_text(&said), wanted);
}

TEST("a root follows another by four steps; the bundle has both until the old one retires, and each step is another generation")
{
	CLEAR(site) s = begun();
	struct err err = ERR_INIT;

	check_bundle(&s.r, "CN=old ");
	CHECK_OK(announce(&s, &s.new, &s.old, &err), err);
	check_bundle(&s.r, "CN=old CN=new ");
	CHECK_INT(s.r.cross.n, 2);
	CHECK_OK(rollover_activate(&s.r, STORY_NOW + 2, &err), err);
	check_bundle(&s.r, "CN=new CN=old ");
	CHECK_STR(cert_subject(rollover_leaving(&s.r)->cert), "CN=old");
	CHECK_OK(rollover_retire(&s.r, STORY_NOW + 3, &err), err);
	check_bundle(&s.r, "CN=new ");
	CHECK_INT(s.r.cross.n, 0);
	CHECK_INT(s.r.generation, 4);
	CHECK_INT(rollover_find(&s.r, ROLLOVER_RETIRED)->since, STORY_NOW + 3);
	CHECK_OK(rollover_check(&s.r, &err), err);
}

TEST("one root at a time: no other is announced while one is announced or outgoing, and none under a name that was here")
{
	CLEAR(site) s = begun();
	struct err err = ERR_INIT;

	CHECK_INT(rollover_may_announce(&s.r, "CN=old", &err), -1);
	CHECK_CONTAINS(err.text, "needs a name of its own");
	err = (struct err)ERR_INIT;
	CHECK_OK(announce(&s, &s.new, &s.old, &err), err);
	CHECK_INT(rollover_may_announce(&s.r, "CN=third", &err), -1);
	CHECK_CONTAINS(err.text, "CN=new is announced already");
	err = (struct err)ERR_INIT;
	CHECK_OK(rollover_activate(&s.r, STORY_NOW, &err), err);
	CHECK_INT(rollover_may_announce(&s.r, "CN=third", &err), -1);
	CHECK_CONTAINS(err.text, "CN=old has not retired yet");
	err = (struct err)ERR_INIT;
	CHECK_OK(rollover_retire(&s.r, STORY_NOW, &err), err);
	CHECK_OK(announce(&s, &s.third, &s.new, &err), err);
}

TEST("an announced root that is not wanted any more is given up, and what was active stays so")
{
	CLEAR(site) s = begun();
	struct err err = ERR_INIT;

	CHECK_OK(announce(&s, &s.new, &s.old, &err), err);
	CHECK_STR(cert_subject(rollover_leaving(&s.r)->cert), "CN=new");
	CHECK_OK(rollover_retire(&s.r, STORY_NOW, &err), err);
	check_bundle(&s.r, "CN=old ");
	CHECK_OK(announce(&s, &s.third, &s.old, &err), err);
}

TEST("what has no turn is refused: activating what is not announced, retiring what is active, beginning twice, cross certificates "
     "of others")
{
	CLEAR(site) s = begun();
	struct err err = ERR_INIT;
	OWN(cert) wrong = issue_cross(s.new.cert, &(struct issuer){ s.third.cert, s.third.key }, &err);
	OWN(cert) back = issue_cross(s.old.cert, &(struct issuer){ s.new.cert, s.new.key }, &err);

	CHECK_INT(rollover_activate(&s.r, STORY_NOW, &err), -1);
	CHECK_INT(rollover_retire(&s.r, STORY_NOW, &err), -1);
	CHECK_INT(rollover_begin(&s.r, s.new.cert, STORY_NOW, &err), -1);
	CHECK_INT(rollover_announce(&s.r, s.new.cert, wrong, back, STORY_NOW, &err), -1);
	CHECK_CONTAINS(err.text, "the cross certificate of CN=new is not signed by CN=old");
	CHECK_INT(rollover_announce(&s.r, s.new.cert, back, back, STORY_NOW, &err), -1);
	CHECK_INT(s.r.generation, 1);
	check_bundle(&s.r, "CN=old ");
}

TEST("a leaf and an intermediate are no roots, and a state with two active ones or none is none of ours")
{
	CLEAR(site) s = begun();
	CLEAR(made) middle = story_intermediate("middle", &s.old);
	struct rollover other = { 0 };
	struct err err = ERR_INIT;

	CHECK_INT(rollover_begin(&other, middle.cert, STORY_NOW, &err), -1);
	CHECK_CONTAINS(err.text, "is no root");
	s.r.roots[0].state = ROLLOVER_OUTGOING;
	CHECK_INT(rollover_check(&s.r, &err), -1);
	s.r.roots[1] = (struct rollover_root){ cert_ref(s.new.cert), ROLLOVER_ACTIVE, 0 };
	s.r.roots[2] = (struct rollover_root){ cert_ref(s.third.cert), ROLLOVER_ACTIVE, 0 };
	s.r.n = 3;
	CHECK_INT(rollover_check(&s.r, &err), -1);
	CHECK_CONTAINS(err.text, "2 roots are active");
}

TEST("after many rollovers the oldest of the retired are forgotten, and the bundle is as it has to be")
{
	struct rollover r = { 0 };
	struct err err = ERR_INIT;
	struct made at = story_root("root 0");

	CHECK_OK(rollover_begin(&r, at.cert, STORY_NOW, &err), err);
	for (int i = 1; i < 2 * ROLLOVER_ROOTS_MAX; i++) {
		OWN_TEXT name = mem_textf("root %d", i);
		struct site s = { .old = at, .new = story_root(name), .r = r };

		CHECK_OK(announce(&s, &s.new, &s.old, &err), err);
		CHECK_OK(rollover_activate(&s.r, STORY_NOW, &err), err);
		CHECK_OK(rollover_retire(&s.r, STORY_NOW, &err), err);
		r = s.r;
		made_clear(&at);
		at = s.new;
	}
	CHECK_INT(r.n, ROLLOVER_ROOTS_MAX);
	check_bundle(&r, "CN=root 31 ");
	made_clear(&at);
	rollover_clear(&r);
}
