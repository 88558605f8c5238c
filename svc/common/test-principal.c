/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "common/principal.h"
#include "t.h"
#include "wire/json.h"

static void
load(struct principals *p, const char *text)
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) list = json_parse(text, strlen(text), &err);

	CHECK_OK(principals_from_json(p, list, &err), err);
}

TEST("a principal is found by user id or by name and may use what its patterns say")
{
	struct principals p;
	const struct principal *certd;

	load(&p, "[{\"name\":\"certd\",\"uid\":100,\"ids\":[\"local-ca\",\"est-*\"]},{\"name\":\"edged\",\"uid\":101,\"ids\":[]}]");
	certd = principals_find(&p, 100);
	CHECK_STR(certd->name, "certd");
	CHECK(certd == principals_named(&p, "certd"));
	CHECK(principal_may(certd, "est-id"));
	CHECK(!principal_may(certd, "device-id"));
	CHECK(!principal_may(principals_find(&p, 101), "local-ca"));
	CHECK(!principals_find(&p, 102));
	CHECK(!principals_named(&p, "nobody"));
	principals_clear(&p);
}

TEST("a caller who is nobody may nothing, and an empty list is nobody")
{
	struct principals p;

	load(&p, "[]");
	CHECK(!principals_find(&p, 0));
	CHECK(!principal_may(NULL, "any"));
	principals_clear(&p);
}

TEST("a principal without a user id is refused, not given to root")
{
	static const char *const lists[] = { "[{\"name\":\"a\",\"ids\":[\"*\"]}]", "[{\"name\":\"a\",\"uid\":-1}]",
		"[{\"name\":\"a\",\"uid\":4294967295}]", "[{\"uid\":1}]", "[{\"name\":\"a\",\"uid\":\"0\"}]", "[7]" };

	for (size_t i = 0; i < COUNT(lists); i++) {
		struct err err = ERR_INIT;
		OWN_LIB(json_t) list = json_parse(lists[i], strlen(lists[i]), &err);
		struct principals p;

		CHECK(principals_from_json(&p, list, &err) < 0);
		CHECK_INT(p.n, 0);
	}
}
