/* SPDX-License-Identifier: Apache-2.0 */
#include "est/est_store.h"

#include "base/buf.h"
#include "base/mem.h"
#include "t.h"

static struct est_store *
open_store(const char *name)
{
	struct err err = ERR_INIT;
	OWN_TEXT path = mem_textf("%s/%s", T_TMPDIR, name);
	struct est_store *s = est_store_open(path, &err);

	if (!s)
		fail_msg("%s", err.text);
	return s;
}

static void
put_holder(void *arg, const struct est_holding *h)
{
	buf_putf(arg, "%s %lld;", h->id, (long long)h->since);
}

TEST("who holds a root is known from the first time on, and once")
{
	static const struct est_holding list[] = { { "pump-2", "AA", 7, false }, { "pump-1", "AA", 8, false },
		{ "pump-2", "AA", 9, false }, { "pump-1", "BB", 9, false } };
	struct est_store *s = open_store("holders");
	CLEAR(buf) said = BUF_INIT(1024);
	struct err err = ERR_INIT;

	CHECK_OK(est_store_hold(s, list, COUNT(list), &err), err);
	CHECK_OK(est_store_list_holders(s, "AA", put_holder, &said, &err), err);
	CHECK_OK(est_store_list_holders(s, "BB", put_holder, &said, &err), err);
	CHECK_OK(est_store_list_holders(s, "CC", put_holder, &said, &err), err);
	CHECK_STR(buf_text(&said), "pump-1 8;pump-2 7;pump-1 9;");
	est_store_close(s);
}

static void
put_word(void *arg, const struct est_holding *h)
{
	buf_putf(arg, "%s %s;", h->id, h->says ? "says" : "was sent");
}

TEST("who says himself that he holds a root is known by that, before or after he was sent it")
{
	static const struct est_holding list[] = { { "pump-1", "AA", 7, false }, { "pump-2", "AA", 7, true },
		{ "pump-3", "AA", 7, false }, { "pump-1", "AA", 8, true }, { "pump-2", "AA", 8, false } };
	struct est_store *s = open_store("words");
	CLEAR(buf) said = BUF_INIT(1024);
	struct err err = ERR_INIT;

	CHECK_OK(est_store_hold(s, list, COUNT(list), &err), err);
	CHECK_OK(est_store_list_holders(s, "AA", put_word, &said, &err), err);
	CHECK_STR(buf_text(&said), "pump-1 says;pump-2 says;pump-3 was sent;");
	est_store_close(s);
}

TEST("a user is found with what it may, is replaced, and is gone when removed")
{
	struct est_store *s = open_store("users");
	struct err err = ERR_INIT;
	CLEAR(est_user) user = { .name = mem_text("line"), .hash = mem_text("H") };
	CLEAR(est_user) found = { 0 };
	bool there;

	est_names_add(&user.may, "dev-*");
	est_names_add(&user.may, "pump");
	CHECK_OK(est_store_put_user(s, &user, &err), err);
	CHECK_OK(est_store_put_user(s, &user, &err), err);
	CHECK_OK(est_store_find_user(s, "line", &found, &there, &err), err);
	CHECK(there);
	CHECK_STR(found.hash, "H");
	CHECK_INT(found.may.n, 2);
	CHECK(est_names_hold(&found.may, "dev-7") && !est_names_hold(&found.may, "dev"));
	CHECK_OK(est_store_remove_user(s, "line", &err), err);
	CHECK(est_store_remove_user(s, "line", &err) < 0);
	CHECK_INT(err.kind, ERR_MISSING);
	est_user_clear(&found);
	CHECK_OK(est_store_find_user(s, "line", &found, &there, &err), err);
	CHECK(!there);
	est_store_close(s);
}

TEST("atk-19: of two who spend a one-time password at the same instant one gets it, and nobody ever after")
{
	struct est_store *s = open_store("spend");
	struct err err = ERR_INIT;
	CLEAR(est_one_time) o = { .id = mem_text("dev-1"), .label = mem_text("*"), .until = 1000 };
	struct est_spending a = { .digest = "D" }, b = { .digest = "D" }, c = { .digest = "E" }, none = { 0 };
	struct est_spending *list[] = { &a, &none, &b, &c };

	CHECK_OK(est_store_put_one_time(s, "D", &o, &err), err);
	CHECK_OK(est_store_spend(s, list, COUNT(list), 5, &err), err);
	CHECK(a.got && !b.got && !c.got && !none.got);
	a.got = false;
	CHECK_OK(est_store_spend(s, list, 1, 6, &err), err);
	CHECK(!a.got);
	est_store_close(s);
}

static void
count(void *arg, const struct est_waiting *w)
{
	CHECK(w->number > 0);
	++*(int *)arg;
}

TEST("a request waits under one number however often it comes, is decided once, and another request is another matter")
{
	struct est_store *s = open_store("waiting");
	struct err err = ERR_INIT;
	struct est_waiting a = { .label = "", .requester = "dev-1", .request = "R1", .who = "user line" }, again = a, other = a;
	int n = 0;

	other.request = "R2";
	CHECK_OK(est_store_ask(s, &a, 5, &err), err);
	CHECK_OK(est_store_ask(s, &again, 6, &err), err);
	CHECK_OK(est_store_ask(s, &other, 6, &err), err);
	CHECK(a.number == again.number && a.number != other.number && again.asked == 5);
	CHECK_OK(est_store_decide(s, a.number, true, &err), err);
	CHECK(est_store_decide(s, a.number, false, &err) < 0);
	CHECK_INT(err.kind, ERR_CONFLICT);
	CHECK_OK(est_store_ask(s, &again, 7, &err), err);
	CHECK_INT(again.state, EST_APPROVED);
	CHECK_OK(est_store_settle(s, a.number, &err), err);
	CHECK_OK(est_store_ask(s, &again, 7, &err), err);
	CHECK_INT(again.state, EST_ISSUED);
	CHECK_OK(est_store_list_waiting(s, false, count, &n, &err), err);
	CHECK_INT(n, 1);
	CHECK_OK(est_store_list_waiting(s, true, count, &n, &err), err);
	CHECK_INT(n, 3);
	est_store_close(s);
}
