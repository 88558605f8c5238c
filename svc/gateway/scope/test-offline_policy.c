/* SPDX-License-Identifier: Apache-2.0 */
/* How long which record counts. */
#include "gateway/scope/offline_policy.h"
#include "t.h"

#define DAY 86400

static int64_t
span(const struct offline_policy *p, const char *device_id, const char *module_id, enum identity_auth auth)
{
	OWN(identity) identity = identity_new(device_id, module_id);

	identity->auth = auth;
	return offline_policy_span(p, identity);
}

static struct offline_policy
policy(const char *const *rules)
{
	struct offline_policy p = { 0 };
	struct err err = ERR_INIT;

	for (; *rules; rules++)
		CHECK_OK(offline_policy_add(&p, *rules, &err), err);
	return p;
}

TEST("without a rule a record counts for ever")
{
	struct offline_policy p = { 0 };

	CHECK_INT(span(&p, "a", NULL, IDENTITY_AUTH_SAS), OFFLINE_FOR_EVER);
}

TEST("a pattern says more than the kind of a record, and that more than all; of several patterns the shortest time counts")
{
	struct offline_policy p = policy((const char *const[]){ "devices:sensor-*=40day", "all=90day", "sas=2day",
		"devices:*-9=3day", "ca=30min", "modules=5day", "devices:a=b*=1day", NULL });

	CHECK_INT(span(&p, "x", NULL, IDENTITY_AUTH_THUMBPRINT), 90 * DAY);
	CHECK_INT(span(&p, "x", NULL, IDENTITY_AUTH_SAS), 2 * DAY);
	CHECK_INT(span(&p, "x", NULL, IDENTITY_AUTH_CA), 30 * 60);
	CHECK_INT(span(&p, "x", "m", IDENTITY_AUTH_SAS), 5 * DAY);
	CHECK_INT(span(&p, "sensor-1", NULL, IDENTITY_AUTH_SAS), 40 * DAY);
	CHECK_INT(span(&p, "sensor-9", NULL, IDENTITY_AUTH_SAS), 3 * DAY);
	CHECK_INT(span(&p, "sensor-1", "m", IDENTITY_AUTH_SAS), 40 * DAY);
	CHECK_INT(span(&p, "a=bc", NULL, IDENTITY_AUTH_SAS), 1 * DAY);
}

TEST("a rule that is none is refused")
{
	static const char *const bad[] = { "", "all", "all=", "all=80%", "all=x", "sas=-1day", "devices:=1day", "devices:x",
		"devices:x=", "people=1day", "ALL=1day" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct offline_policy p = { 0 };
		struct err err = ERR_INIT;

		CHECK(offline_policy_add(&p, bad[i], &err) < 0);
		CHECK_INT(p.n, 0);
	}
}

TEST("there are so many rules and no more")
{
	struct offline_policy p = { 0 };
	struct err err = ERR_INIT;

	for (int i = 0; i < OFFLINE_RULES_MAX; i++)
		CHECK_OK(offline_policy_add(&p, "all=1day", &err), err);
	CHECK(offline_policy_add(&p, "all=1day", &err) < 0);
}
