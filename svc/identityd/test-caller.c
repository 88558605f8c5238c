/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "identityd/caller.h"
#include "t.h"
#include "wire/json.h"

static const struct caller_rules all_allowed = { .has_localid = true, .has_device = true };

static int
take(struct callers *out, const char *text, const struct caller_rules *rules, const char **ignored, struct err *err)
{
	OWN_LIB(json_t) list = json_parse(text, strlen(text), err);

	CHECK(list != NULL);
	return callers_take(out, list, rules, ignored, err);
}

#define STORY                                                                                                                      \
	"[{\"name\":\"aziot-edge\",\"uid\":100},{\"name\":\"pump\",\"uid\":101,\"idtype\":[\"module\",\"local\"],\"localid\":"     \
	"{\"type\":\"x509\",\"attributes\":\"server\"}},{\"name\":\"agent\",\"uid\":102,\"idtype\":[\"device\"]},"                 \
	"{\"name\":\"nothing\",\"uid\":103,\"idtype\":[]}]"

static void
story(struct callers *out)
{
	const char *ignored;
	struct err err = ERR_INIT;

	CHECK_OK(take(out, STORY, &all_allowed, &ignored, &err), err);
	CHECK(!ignored);
}

/* What each may, as a row of the contract's table: caller, device, reprovision, own module, own local, modules, public. */
struct row {
	uid_t uid;
	const char *may;
};

TEST("the daemon and root may everything, a host process its own identities of the kinds it has, a stranger what is public")
{
	static const struct row rows[] = { { 100, "yyyyyyy" }, { 0, "yyyyyyy" }, { 101, "ynnyyny" }, { 102, "yynnnny" },
		{ 103, "nnnnnny" }, { 104, "nnnnnny" } };
	static const enum caller_wish wishes[] = { WISH_CALLER_IDENTITY, WISH_DEVICE, WISH_REPROVISION, WISH_MODULE, WISH_LOCAL,
		WISH_MODULES, WISH_PUBLIC };
	struct callers all;

	story(&all);
	for (size_t r = 0; r < COUNT(rows); r++)
		for (size_t w = 0; w < COUNT(wishes); w++) {
			CLEAR(caller) caller = callers_find(&all, true, rows[r].uid);

			if (caller_may(&caller, wishes[w], "pump") != (rows[r].may[w] == 'y'))
				fail_msg("user %u, wish %zu", rows[r].uid, w);
		}
	callers_clear(&all);
}

TEST("a host process has no other's module, and whoever has no user id is a stranger, not root")
{
	struct callers all;
	CLEAR(caller) pump = { 0 };
	CLEAR(caller) nobody = { 0 };

	story(&all);
	pump = callers_find(&all, true, 101);
	CHECK(!caller_may(&pump, WISH_MODULE, "valve"));
	CHECK(!caller_may(&pump, WISH_LOCAL, "agent"));
	CHECK_INT(pump.local_use, LOCAL_SERVER);
	nobody = callers_find(&all, false, 0);
	CHECK(!caller_may(&nobody, WISH_DEVICE, NULL));
	CHECK(caller_may(&nobody, WISH_PUBLIC, NULL));
	callers_clear(&all);
}

TEST("root that is listed as a host process is one, and nothing more")
{
	struct callers all;
	CLEAR(caller) root = { 0 };
	const char *ignored;
	struct err err = ERR_INIT;

	CHECK_OK(take(&all, "[{\"name\":\"m\",\"uid\":0,\"idtype\":[\"module\"]}]", &all_allowed, &ignored, &err), err);
	root = callers_find(&all, true, 0);
	CHECK(caller_may(&root, WISH_MODULE, "m"));
	CHECK(!caller_may(&root, WISH_MODULES, NULL));
	callers_clear(&all);
}

TEST("there is one daemon: a second is named and has nothing")
{
	struct callers all;
	CLEAR(caller) second = { 0 };
	const char *ignored;
	struct err err = ERR_INIT;

	CHECK_OK(take(&all, "[{\"name\":\"a\",\"uid\":1},{\"name\":\"b\",\"uid\":2}]", &all_allowed, &ignored, &err), err);
	CHECK_INT(all.n, 1);
	second = callers_find(&all, true, 2);
	CHECK_INT(second.kind, CALLER_STRANGER);
	callers_clear(&all);
}

TEST("principals that can't be told apart, or want what there is not, are refused by name")
{
	static const struct {
		const char *list, *words;
		struct caller_rules rules;
	} rows[] = {
		{ "[{\"name\":\"a\",\"uid\":1},{\"name\":\"a\",\"uid\":2,\"idtype\":[]}]", "same name", { true, true } },
		{ "[{\"name\":\"a\",\"uid\":1},{\"name\":\"b\",\"uid\":1,\"idtype\":[]}]", "same uid", { true, true } },
		{ "[{\"name\":\"a\",\"uid\":1,\"idtype\":[\"local\"]}]", "[localid]", { false, true } },
		{ "[{\"name\":\"a\",\"uid\":1,\"idtype\":[\"module\"]}]", "provisioning source", { true, false } },
		{ "[{\"name\":\"a\",\"uid\":1,\"idtype\":[\"device\"]}]", "provisioning source", { true, false } },
		{ "[{\"name\":\"a\",\"uid\":1,\"idtype\":[\"modul\"]}]", "device, module and local", { true, true } },
		{ "[{\"name\":\"a/b\",\"uid\":1,\"idtype\":[\"module\"]}]", "no module id", { true, true } },
		{ "[{\"name\":\"\",\"uid\":1,\"idtype\":[\"local\"]}]", "no module id", { true, true } },
		{ "[{\"name\":\"a\",\"uid\":1,\"idtype\":[],\"localid\":{\"attributes\":\"ca\"}}]", "client", { true, true } },
		{ "[{\"name\":\"a\"}]", "no uid", { true, true } },
		{ "[{\"name\":\"a\",\"uid\":-1}]", "no uid", { true, true } },
		{ "[{\"name\":\"a\",\"uid\":4294967295}]", "no uid", { true, true } },
		{ "[{\"uid\":1}]", "name", { true, true } },
		{ "[7]", "", { true, true } },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err err = ERR_INIT;
		const char *ignored;
		struct callers all;

		CHECK(take(&all, rows[i].list, &rows[i].rules, &ignored, &err) < 0);
		CHECK_CONTAINS(err.text, rows[i].words);
		CHECK_INT(all.n, 0);
	}
}
