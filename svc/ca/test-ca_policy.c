/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/csr_story.h"

/* The verdict about a wish of dev1 for a device's certificate. */
static struct verdict *
judge_as(struct wish wish, enum ca_kind kind, struct ca_requester requester, int64_t now, int64_t last_issued,
	struct ca_grant *grant)
{
	static struct ca_signer *signer;
	struct verdict *v = verdict_new("ca", "May it have this certificate?", requester.id);
	OWN(csr) csr = wish_csr(wish);
	struct ca_profile profile = ca_profile_of("p", kind);
	struct ca_request request = { .csr = csr, .profile = &profile, .requester = requester };

	if (!signer)
		signer = story_signer();
	CHECK_INT(
		ca_policy_decide(v, grant, &request, &(struct ca_circumstances){ signer, now, last_issued }), verdict_accepted(v));
	grant->profile.common_name = NULL; /* was the request's */
	return v;
}

static struct verdict *
judge(struct wish wish)
{
	struct ca_grant grant;
	struct verdict *v = judge_as(wish, CA_DEVICE, (struct ca_requester){ .id = "dev1" }, STORY_NOW, 0, &grant);

	ca_grant_clear(&grant);
	return v;
}

TEST("a device's own request is granted for the profile's time, and of what it asks beside its key and CN nothing is in it")
{
	struct ca_grant grant;
	OWN(verdict) v = judge_as((struct wish){ .common_name = "dev1",
					  .extensions = { "extendedKeyUsage", "serverAuth", "subjectAltName", "DNS:dev1" } },
		CA_DEVICE, (struct ca_requester){ .id = "dev1" }, STORY_NOW, STORY_NOW, &grant);

	CHECK_ACCEPTED(v);
	CHECK_INT(grant.profile.kind, ISSUE_DEVICE);
	CHECK_INT(grant.profile.n_names, 0);
	CHECK_INT(grant.profile.not_after, STORY_NOW + 30 * (int64_t)STORY_DAY);
	ca_grant_clear(&grant);
}

TEST("atk-20: another device's CN, none, two, and one that only looks alike are refused")
{
	static const char *const names[] = { "dev2", "DEV1", "dev1 ", "dev10", "dev", "*" };

	for (size_t i = 0; i < COUNT(names); i++) {
		OWN(verdict) v = judge((struct wish){ .common_name = names[i] });

		CHECK_CAUSE(v, CSR_WRONG_NAME);
	}
	{
		OWN(verdict) none = judge((struct wish){ .common_name = NULL });
		OWN(verdict) two = judge((struct wish){ .common_name = "dev1", .second_name = "dev2" });

		CHECK_CAUSE(none, CSR_WRONG_NAME);
		CHECK_CAUSE(two, CSR_WRONG_NAME);
	}
}

TEST("atk-20: the rights of a CA are refused in whatever extension they are asked for")
{
	static const char *const asked[][2] = { { "basicConstraints", "CA:TRUE" },
		{ "basicConstraints", "critical,CA:TRUE,pathlen:0" }, { "keyUsage", "keyCertSign" },
		{ "keyUsage", "digitalSignature,cRLSign" }, { "basicConstraints", "DER:0500" }, { "keyUsage", "DER:3000" } };

	for (size_t i = 0; i < COUNT(asked); i++) {
		OWN(verdict) v = judge((struct wish){ .common_name = "dev1", .extensions = { asked[i][0], asked[i][1] } });

		CHECK_CAUSE(v, CSR_ASKS_CA);
	}
}

TEST("CA:FALSE and the usages of a leaf are no reason to refuse")
{
	OWN(verdict) v = judge((struct wish){
		.common_name = "dev1", .extensions = { "basicConstraints", "CA:FALSE", "keyUsage", "digitalSignature" } });

	CHECK_ACCEPTED(v);
}

TEST("atk-20: names that are not the requester's are refused, whatever kind they are of")
{
	static const char *const asked[] = { "DNS:hub.local", "DNS:*", "DNS:dev1,DNS:dev2", "IP:10.0.0.1",
		"URI:azureiot://h/devices/d/modules/m", "email:dev1@x.org", "RID:1.2.3.4", "DER:0500" };

	for (size_t i = 0; i < COUNT(asked); i++) {
		OWN(verdict) v = judge((struct wish){ .common_name = "dev1", .extensions = { "subjectAltName", asked[i] } });

		CHECK_CAUSE(v, CSR_FOREIGN_NAME);
	}
}

TEST("keys that the profile does not take are refused: RSA, P-521, Ed25519, and a curve that is spelt out")
{
	struct err err = ERR_INIT;
	OWN(key) rsa = key_generate(KEY_RSA_2048, &err);
	OWN(key) ed = key_generate(KEY_ED25519, &err);
	EVP_PKEY *p521 = EVP_EC_gen("P-521"), *spelt = EVP_EC_gen("P-256"), *keys[] = { key_pkey(rsa), key_pkey(ed), p521, spelt };

	CHECK(EVP_PKEY_set_utf8_string_param(spelt, "encoding", "explicit") == 1);
	for (size_t i = 0; i < COUNT(keys); i++) {
		OWN(verdict) v = judge((struct wish){ .common_name = "dev1", .key = keys[i] });

		CHECK_CAUSE(v, CSR_KEY_REFUSED);
	}
	EVP_PKEY_free(p521);
	EVP_PKEY_free(spelt);
}

TEST("a request signed with SHA-1 or SHA-224 is refused, one with SHA-384 or SHA-512 is not")
{
	const EVP_MD *bad[] = { EVP_sha1(), EVP_sha224() }, *good[] = { EVP_sha256(), EVP_sha384(), EVP_sha512() };

	for (size_t i = 0; i < COUNT(bad); i++) {
		OWN(verdict) v = judge((struct wish){ .common_name = "dev1", .digest = bad[i] });

		CHECK_CAUSE(v, CSR_WEAK_SIGNATURE);
	}
	for (size_t i = 0; i < COUNT(good); i++) {
		OWN(verdict) v = judge((struct wish){ .common_name = "dev1", .digest = good[i], .alg = KEY_EC_P384 });

		CHECK_ACCEPTED(v);
	}
}

TEST("a server gets the names it asks for, as far as they are its own, and its CN when it asks for none")
{
	static const char *const own[] = { "gw.local", "10.0.0.7" };
	struct ca_requester gateway = { .id = "gw", .names = own, .n_names = COUNT(own) };
	struct ca_grant grant;
	OWN(verdict) both =
		judge_as((struct wish){ .common_name = "gw.local", .extensions = { "subjectAltName", "DNS:gw.local,IP:10.0.0.7" } },
			CA_SERVER, gateway, STORY_NOW, 0, &grant);
	OWN(verdict) none = NULL;
	OWN(verdict) foreign = NULL;

	CHECK_ACCEPTED(both);
	CHECK_INT(grant.profile.n_names, 2);
	CHECK_STR(grant.profile.names[1], "10.0.0.7");
	ca_grant_clear(&grant);
	none = judge_as((struct wish){ .common_name = "gw.local" }, CA_SERVER, gateway, STORY_NOW, 0, &grant);
	CHECK_ACCEPTED(none);
	CHECK_INT(grant.profile.n_names, 1);
	ca_grant_clear(&grant);
	foreign = judge_as((struct wish){ .common_name = "gw.local", .extensions = { "subjectAltName", "DNS:hub.local" } },
		CA_SERVER, gateway, STORY_NOW, 0, &grant);
	CHECK_CAUSE(foreign, CSR_FOREIGN_NAME);
}

TEST("an Edge CA's profile issues a CA under a path length to who may have that name, and to nobody else")
{
	static const char *const own[] = { "iotedged workload ca gw" };
	struct ca_requester edge = { .id = "gw", .names = own, .n_names = 1 };
	struct wish wish = { .common_name = "iotedged workload ca gw", .extensions = { "basicConstraints", "CA:TRUE" } };
	struct ca_grant grant;
	OWN(verdict) v = judge_as(wish, CA_EDGE_CA, edge, STORY_NOW, 0, &grant);
	OWN(verdict) other = NULL;

	CHECK_ACCEPTED(v);
	CHECK_INT(grant.profile.kind, ISSUE_EDGE_CA);
	CHECK_INT(grant.profile.path_len, 0);
	ca_grant_clear(&grant);
	other = judge_as(wish, CA_EDGE_CA, (struct ca_requester){ .id = "dev1" }, STORY_NOW, 0, &grant);
	CHECK_CAUSE(other, CSR_WRONG_NAME);
}

TEST("nothing is issued beyond the CA's end, nor by one that has ended or not yet begun")
{
	int64_t end = STORY_NOW + 3650 * (int64_t)STORY_DAY;
	struct ca_requester dev1 = { .id = "dev1" };
	struct wish wish = { .common_name = "dev1" };
	struct ca_grant grant;
	OWN(verdict) late = judge_as(wish, CA_DEVICE, dev1, end - STORY_DAY, 0, &grant);
	OWN(verdict) ended = NULL;
	OWN(verdict) early = NULL;

	CHECK_ACCEPTED(late);
	CHECK_INT(grant.profile.not_after, end);
	ca_grant_clear(&grant);
	ended = judge_as(wish, CA_DEVICE, dev1, end, 0, &grant);
	CHECK_REASON(ended, CERT_EXPIRED, "CN=plant CA");
	early = judge_as(wish, CA_DEVICE, dev1, STORY_NOW - STORY_DAY, 0, &grant);
	CHECK_REASON(early, CERT_NOT_YET_VALID, "CN=plant CA");
}

TEST("atk-30: a clock that went back by a year issues nothing, one that was put right by an hour does")
{
	struct ca_requester dev1 = { .id = "dev1" };
	struct ca_grant grant;
	OWN(verdict) year = judge_as(
		(struct wish){ .common_name = "dev1" }, CA_DEVICE, dev1, STORY_NOW, STORY_NOW + 365 * (int64_t)STORY_DAY, &grant);
	OWN(verdict) hour = NULL;

	CHECK_CAUSE(year, CA_CLOCK_BEHIND);
	hour = judge_as((struct wish){ .common_name = "dev1" }, CA_DEVICE, dev1, STORY_NOW, STORY_NOW + 3600, &grant);
	CHECK_ACCEPTED(hour);
	ca_grant_clear(&grant);
}
