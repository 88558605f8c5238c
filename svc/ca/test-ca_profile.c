/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/ca_profile.h"

#include "t.h"

TEST("a credential policy is a name and 7 to 90 days for devices with EC keys")
{
	struct ca_profile p;
	struct err err = ERR_INIT;

	CHECK_OK(ca_profile_parse_credential(&p, "line-3=45", &err), err);
	CHECK_STR(p.name, "line-3");
	CHECK_INT(p.kind, CA_DEVICE);
	CHECK_INT(p.lifetime_s, 45 * 86400);
	CHECK_INT(p.keys, CA_KEY(KEY_EC_P256) | CA_KEY(KEY_EC_P384));
	CHECK_OK(ca_profile_parse_credential(&p, "a=7", &err), err);
	CHECK_OK(ca_profile_parse_credential(&p, "a=90", &err), err);
}

TEST("a credential policy without a name, without days, or with too few or too many is refused with what it was")
{
	static const char *const bad[] = { "", "=30", "a", "a=", "a=6", "a=91", "a=-30", "a=30d", "a b=30", "a/b=30", "a=30=40",
		"0123456789012345678901234567890123456789012345678901234567890123456789=30" };
	struct ca_profile p;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err err = ERR_INIT;

		if (ca_profile_parse_credential(&p, bad[i], &err) == 0)
			fail_msg("'%s' is taken", bad[i]);
		CHECK_ERR(err, ERR_INVALID, "'");
	}
}

TEST("a kind has its own lifetime and keys, and a server alone has alternative names")
{
	CHECK_INT(ca_profile_of("d", CA_DEVICE).lifetime_s, 30 * 86400);
	CHECK(!(ca_profile_of("d", CA_DEVICE).keys & CA_KEY(KEY_RSA_4096)));
	CHECK(ca_profile_of("s", CA_SERVER).keys & CA_KEY(KEY_RSA_2048));
	CHECK_INT(ca_kind_issues(CA_BOOTSTRAP), ISSUE_DEVICE);
	CHECK_INT(ca_profile_of("e", CA_EDGE_CA).path_len, 0);
	CHECK(ca_kind_has_names(CA_SERVER) && !ca_kind_has_names(CA_DEVICE) && !ca_kind_has_names(CA_EDGE_CA));
}
