/* SPDX-License-Identifier: Apache-2.0 */
/* Who it is, and certificates.  Tokens have a file of their own. */
#include "auth/thumbprint.h"
#include "auth/trial.h"

static struct trial
thumbprint_device(const char *id, const struct made *primary, const struct made *secondary)
{
	struct trial trial = trial_of(id, NULL, IDENTITY_AUTH_THUMBPRINT);

	trial.target->thumbprints[0] = primary ? trial_thumbprint(primary) : NULL;
	trial.target->thumbprints[1] = secondary ? trial_thumbprint(secondary) : NULL;
	return trial;
}

static struct made
device_within(int64_t not_before, int64_t not_after)
{
	return story_make(
		(struct profile){ .kind = ISSUE_DEVICE, .common_name = "dev1", .not_before = not_before, .not_after = not_after },
		NULL);
}

/* -- Who it is ------------------------------------------------------------------------------------------------------------- */

TEST("an unknown device is refused, and so is an unknown module, each as what it is")
{
	CLEAR(trial) device = trial_of("dev1", NULL, IDENTITY_AUTH_SAS);
	CLEAR(trial) module = trial_of("dev1", "mod", IDENTITY_AUTH_SAS);

	device.records.target = NULL;
	module.records.target = NULL;
	trial_refused(&device, DEVICE_UNKNOWN);
	trial_refused(&module, MODULE_UNKNOWN);
}

TEST("a device that the hub knows below another gateway is refused as that, not as unknown")
{
	CLEAR(trial) trial = trial_of("dev1", NULL, IDENTITY_AUTH_SAS);

	trial.records.target = NULL;
	trial.records.is_elsewhere = true;
	trial_refused(&trial, DEVICE_OUT_OF_SCOPE);
}

TEST("who may be known where nobody can ask now is not called unknown, device or module; who is elsewhere is that")
{
	CLEAR(trial) device = trial_of("dev1", NULL, IDENTITY_AUTH_SAS);
	CLEAR(trial) module = trial_of("dev1", "mod", IDENTITY_AUTH_SAS);

	device.records.target = module.records.target = NULL;
	device.records.may_be_known = module.records.may_be_known = true;
	trial_refused(&device, RECORD_MISSING);
	trial_refused(&module, RECORD_MISSING);
	device.records.is_elsewhere = true;
	trial_refused(&device, DEVICE_OUT_OF_SCOPE);
}

TEST("atk-18: the record of another identity than the claimed one is no evidence")
{
	CLEAR(trial) trial = trial_of("dev1", NULL, IDENTITY_AUTH_SAS);
	OWN(identity) other = identity_new("dev2", NULL);
	OWN(identity) module = identity_new("dev1", "mod");

	other->enabled = module->enabled = true;
	trial.records.target = other;
	trial_refused(&trial, DEVICE_UNKNOWN);
	trial.records.target = module;
	trial_refused(&trial, DEVICE_UNKNOWN);
}

TEST("a disabled device is refused whatever it shows, and its operator's reason is told")
{
	CLEAR(made) dev = story_device("dev1", NULL);
	CLEAR(trial) trial = thumbprint_device("dev1", &dev, NULL);
	OWN(verdict) v = NULL;

	trial_show(&trial, &dev, NULL);
	trial.target->enabled = false;
	trial.target->status_reason = mem_text("stolen");
	v = trial_decide(&trial);
	CHECK_CAUSE(v, DEVICE_DISABLED);
	CHECK_STR(verdict_first_failure(v)->found, "stolen");
}

TEST("who shows nothing is refused, whatever it is registered for")
{
	for (enum identity_auth auth = IDENTITY_AUTH_NONE; auth <= IDENTITY_AUTH_CA; auth++) {
		CLEAR(trial) trial = trial_of("dev1", NULL, auth);

		trial_refused(&trial, DEVICE_NO_CREDENTIAL);
		trial.token = mem_text("");
		trial_refused(&trial, DEVICE_NO_CREDENTIAL);
	}
}

TEST("an identity registered for no authentication is refused with any credential")
{
	CLEAR(made) dev = story_device("dev1", NULL);
	CLEAR(trial) trial = trial_of("dev1", NULL, IDENTITY_AUTH_NONE);

	trial_show(&trial, &dev, NULL);
	trial_refused(&trial, DEVICE_WRONG_AUTH_TYPE);
	trial.token = trial_token(TRIAL_HUB "/devices/dev1", "0123456789abcdef", 0);
	trial_refused(&trial, DEVICE_WRONG_AUTH_TYPE);
}

TEST("a device registered for a certificate is refused with a token, its right certificate notwithstanding")
{
	CLEAR(made) dev = story_device("dev1", NULL);
	CLEAR(trial) trial = thumbprint_device("dev1", &dev, NULL);

	trial_show(&trial, &dev, NULL);
	trial.token = trial_token(TRIAL_HUB "/devices/dev1", "0123456789abcdef", 0);
	trial_refused(&trial, DEVICE_WRONG_AUTH_TYPE);
	trial.target->auth = IDENTITY_AUTH_CA;
	trial_refused(&trial, DEVICE_WRONG_AUTH_TYPE);
}

TEST("a device registered for a key is refused with a certificate alone; beside its token any certificate is overlooked")
{
	CLEAR(made) foreign = story_device("somebody", NULL);
	CLEAR(trial) trial = trial_of("dev1", NULL, IDENTITY_AUTH_SAS);

	trial_key(&trial.target->keys[0], "0123456789abcdef");
	trial_show(&trial, &foreign, NULL);
	trial_refused(&trial, DEVICE_WRONG_AUTH_TYPE);
	trial.token = trial_token(TRIAL_HUB "/devices/dev1", "0123456789abcdef", 0);
	trial_accepted(&trial);
}

/* -- Thumbprints ----------------------------------------------------------------------------------------------------------- */

TEST("a certificate whose thumbprint is in the primary or the secondary slot is let in, and the verdict names the slot")
{
	CLEAR(made) first = story_device("dev1", NULL);
	CLEAR(made) second = story_device("dev1", NULL);
	CLEAR(trial) by_first = thumbprint_device("dev1", &first, &second);
	CLEAR(trial) by_second = thumbprint_device("dev1", &first, &second);
	OWN(verdict) one = NULL;
	OWN(verdict) two = NULL;
	OWN_TEXT said = NULL;

	trial_show(&by_first, &first, NULL);
	trial_show(&by_second, &second, NULL);
	one = trial_decide(&by_first);
	two = trial_decide(&by_second);
	CHECK_ACCEPTED(one);
	CHECK_ACCEPTED(two);
	said = verdict_json(two);
	CHECK_CONTAINS(said, "secondary thumbprint");
	CHECK_STR(two->who, "hub");
	CHECK_STR(two->question, "Is this really dev1?");
}

TEST("atk-02: a certificate in neither slot is refused, and so is the one that was replaced in its slot")
{
	CLEAR(made) old = story_device("dev1", NULL);
	CLEAR(made) now = story_device("dev1", NULL);
	CLEAR(made) spare = story_device("dev1", NULL);
	CLEAR(trial) trial = thumbprint_device("dev1", &now, &spare);
	OWN(verdict) v = NULL;

	trial_show(&trial, &old, NULL);
	v = trial_decide(&trial);
	CHECK_CAUSE(v, THUMBPRINT_MISMATCH);
	CHECK_CONTAINS(verdict_first_failure(v)->wanted, trial.target->thumbprints[1]);
}

TEST("what a certificate has is told in the form of what is registered, by SHA-1 as well where that is registered")
{
	CLEAR(made) mine = story_device("dev1", NULL);
	CLEAR(made) registered = story_device("dev1", NULL);
	CLEAR(trial) trial = thumbprint_device("dev1", &registered, NULL);
	CLEAR(trial) same = thumbprint_device("dev1", &mine, NULL);
	OWN_TEXT sha1 = thumbprint_sha1(mine.cert);
	OWN(verdict) v = NULL;

	trial_show(&trial, &mine, NULL);
	v = trial_decide(&trial);
	CHECK_STR(verdict_first_failure(v)->found, same.target->thumbprints[0]);
	verdict_free(v);
	trial.target->thumbprints[1] = thumbprint_sha1(registered.cert);
	v = trial_decide(&trial);
	CHECK_CAUSE(v, THUMBPRINT_MISMATCH);
	CHECK_CONTAINS(verdict_first_failure(v)->found, same.target->thumbprints[0]);
	CHECK_CONTAINS(verdict_first_failure(v)->found, sha1);
}

TEST("atk-02: empty slots let nobody in")
{
	CLEAR(made) dev = story_device("dev1", NULL);
	CLEAR(trial) trial = thumbprint_device("dev1", NULL, NULL);

	trial_show(&trial, &dev, NULL);
	trial_refused(&trial, THUMBPRINT_MISMATCH);
}

TEST("atk-02: a SHA-1 thumbprint is accepted with a note, and refused where the policy says so")
{
	CLEAR(made) dev = story_device("dev1", NULL);
	CLEAR(trial) trial = trial_of("dev1", NULL, IDENTITY_AUTH_THUMBPRINT);
	struct buf hex = BUF_INIT(64);
	OWN(verdict) v = NULL;
	bool noted = false;

	hex_encode(&hex, cert_sha1(dev.cert), DIGEST_SHA1_LEN, true);
	trial.target->thumbprints[1] = thumbprint_normalise(buf_text(&hex));
	buf_clear(&hex);
	trial_show(&trial, &dev, NULL);
	v = trial_decide(&trial);
	CHECK_ACCEPTED(v);
	for (size_t i = 0; i < v->n_checks; i++)
		noted = noted || v->checks[i].reason == THUMBPRINT_SHA1;
	CHECK(noted);
	trial.policy.refuse_sha1_thumbprints = true;
	trial_refused(&trial, THUMBPRINT_SHA1_REFUSED);
}

TEST("atk-01: a registered certificate past its notAfter, or before its notBefore, is refused; the second of notAfter is past")
{
	CLEAR(made) dev = device_within(STORY_NOW - 100, STORY_NOW + 100);
	CLEAR(trial) trial = thumbprint_device("dev1", &dev, NULL);

	trial_show(&trial, &dev, NULL);
	trial.now = STORY_NOW + 99;
	trial_accepted(&trial);
	trial.now = STORY_NOW + 100;
	trial_refused(&trial, CERT_EXPIRED);
	trial.now = STORY_NOW - 100;
	trial_accepted(&trial);
	trial.now = STORY_NOW - 101;
	trial_refused(&trial, CERT_NOT_YET_VALID);
}

TEST("of a certificate that is expired and another's too, both are told")
{
	CLEAR(made) dev = device_within(STORY_NOW - 200, STORY_NOW - 100);
	CLEAR(made) registered = story_device("dev1", NULL);
	CLEAR(trial) trial = thumbprint_device("dev1", &registered, NULL);
	OWN(verdict) v = NULL;

	trial_show(&trial, &dev, NULL);
	v = trial_decide(&trial);
	CHECK_CAUSE(v, CERT_EXPIRED);
	CHECK_REASON(v, THUMBPRINT_MISMATCH, "CN=dev1");
}

TEST("a thumbprint needs no chain: self-signed, CA, another name, server certificate and an unknown issuer are all the same to it")
{
	CLEAR(made) root = story_root("a root that nobody knows");
	CLEAR(made) self = story_device("another name", NULL);
	CLEAR(made) under = story_device("dev1", &root);
	CLEAR(made) server = story_server("server.local", &root);
	const struct made *each[] = { &root, &self, &under, &server };

	for (size_t i = 0; i < COUNT(each); i++) {
		CLEAR(trial) trial = thumbprint_device("dev1", each[i], NULL);
		OWN(verdict) v = NULL;

		trial_show(&trial, each[i], NULL);
		v = trial_decide(&trial);
		CHECK_ACCEPTED(v);
		CHECK_INT(v->n_chain, 1);
	}
}

TEST("only the leaf counts: the registered certificate sent behind another one is no proof")
{
	CLEAR(made) registered = story_device("dev1", NULL);
	CLEAR(made) mine = story_device("dev1", NULL);
	CLEAR(trial) trial = thumbprint_device("dev1", &registered, NULL);

	trial_show(&trial, &mine, &registered);
	trial_refused(&trial, THUMBPRINT_MISMATCH);
}

TEST("a registered certificate with a key of a kind or size that is not accepted is refused")
{
	CLEAR(made) small = story_crooked((struct crooked){ .common_name = "dev1", .weak_key = EVP_RSA_gen(1024) }, NULL);
	CLEAR(made) curve = story_crooked((struct crooked){ .common_name = "dev1", .weak_key = EVP_EC_gen("secp256k1") }, NULL);
	const struct made *each[] = { &small, &curve };

	for (size_t i = 0; i < COUNT(each); i++) {
		CLEAR(trial) trial = thumbprint_device("dev1", each[i], NULL);

		trial_show(&trial, each[i], NULL);
		trial_refused(&trial, CERT_WEAK_KEY);
	}
}

TEST("a module may be registered by thumbprint too")
{
	CLEAR(made) made = story_device("dev1/mod", NULL);
	CLEAR(trial) trial = trial_of("dev1", "mod", IDENTITY_AUTH_THUMBPRINT);

	trial.target->thumbprints[0] = trial_thumbprint(&made);
	trial_show(&trial, &made, NULL);
	trial_accepted(&trial);
}

/* -- Certificates of a registered CA --------------------------------------------------------------------------------------- */

/* The verdict about `leaf`, shown with `between`, by a device that is registered for the CA `registered`. */
static struct verdict *
ca_verdict(const char *id, const char *module, const struct made *registered, const struct made *leaf, const struct made *between)
{
	CLEAR(trial) trial = trial_of(id, module, IDENTITY_AUTH_CA);
	OWN(authorities) authorities = registered ? trial_authorities(registered) : NULL;

	trial_show(&trial, leaf, between);
	trial.records.device_cas = authorities;
	return trial_decide(&trial);
}

static void
ca_refused(const char *id, const struct made *registered, const struct made *leaf, const struct made *between, enum reason reason)
{
	OWN(verdict) v = ca_verdict(id, NULL, registered, leaf, between);

	CHECK_CAUSE(v, reason);
}

TEST("a device certificate of a registered CA with CN = device id is let in, directly and through an intermediate that it sends")
{
	CLEAR(made) root = story_root("device root");
	CLEAR(made) ca = story_intermediate("device CA", &root);
	CLEAR(made) direct = story_device("dev1", &root);
	CLEAR(made) below = story_device("dev1", &ca);
	OWN(verdict) one = ca_verdict("dev1", NULL, &root, &direct, NULL);
	OWN(verdict) two = ca_verdict("dev1", NULL, &root, &below, &ca);

	CHECK_ACCEPTED(one);
	CHECK_ACCEPTED(two);
	CHECK_INT(two->n_chain, 3);
}

TEST("an intermediate may be the registered CA: whoever it issued for is let in, its root need not be known")
{
	CLEAR(made) root = story_root("device root");
	CLEAR(made) ca = story_intermediate("device CA", &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	CLEAR(made) sibling = story_device("dev1", &root);
	OWN(verdict) v = ca_verdict("dev1", NULL, &ca, &leaf, NULL);

	CHECK_ACCEPTED(v);
	ca_refused("dev1", &ca, &sibling, NULL, TRUST_UNKNOWN_ISSUER);
}

TEST("a module's certificate of a registered CA has the CN device/module")
{
	CLEAR(made) root = story_root("device root");
	CLEAR(made) module = story_device("dev1/mod", &root);
	CLEAR(made) device = story_device("dev1", &root);
	OWN(verdict) good = ca_verdict("dev1", "mod", &root, &module, NULL);
	OWN(verdict) bad = ca_verdict("dev1", "mod", &root, &device, NULL);

	CHECK_ACCEPTED(good);
	CHECK_CAUSE(bad, NAME_CN_MISMATCH);
	ca_refused("dev1", &root, &module, NULL, NAME_CN_MISMATCH);
}

TEST("atk-03: the one rule for the CN: exactly one, every byte the device id's, no NUL; a SAN does not help")
{
	static const struct crooked crooks[] = {
		{ .common_name = "dev2" },
		{ .common_name = "DEV1" },
		{ .common_name = "dev1 " },
		{ .common_name = "dev1", .second_name = "dev1" },
		{ .common_name = "dev1", .second_name = "dev2" },
		{ .common_name = "dev2", .second_name = "dev1" },
		{ .common_name = "dev1\0.evil", .common_name_len = 10 },
		{
			.common_name = "dev\xd1\x96",
		},
		{ .common_name = "dev2", .extensions = { "subjectAltName", "DNS:dev1" } },
	};
	CLEAR(made) root = story_root("device root");

	for (size_t i = 0; i < COUNT(crooks); i++) {
		CLEAR(made) leaf = story_crooked(crooks[i], &root);

		ca_refused("dev1", &root, &leaf, NULL, NAME_CN_MISMATCH);
	}
}

TEST("atk-03: what the SAN says beside the right CN does not matter")
{
	CLEAR(made) root = story_root("device root");
	CLEAR(made) leaf =
		story_crooked((struct crooked){ .common_name = "dev1", .extensions = { "subjectAltName", "DNS:dev2" } }, &root);
	OWN(verdict) v = ca_verdict("dev1", NULL, &root, &leaf, NULL);

	CHECK_ACCEPTED(v);
}

TEST("atk-05: a server certificate with the device's CN is refused, though its CA is registered")
{
	CLEAR(made) root = story_root("device root");
	CLEAR(made) leaf = story_server("dev1", &root);
	CLEAR(made) no_eku = story_crooked((struct crooked){ .common_name = "dev1" }, &root);
	OWN(verdict) v = ca_verdict("dev1", NULL, &root, &no_eku, NULL);

	ca_refused("dev1", &root, &leaf, NULL, CERT_NO_CLIENT_AUTH);
	CHECK_ACCEPTED(v); /* absent, it allows everything, as in the original */
}

TEST("atk-05: the identity certificate that an edge device made for a module is no device's, though the CN is the device id")
{
	CLEAR(made) root = story_root("device root");
	CLEAR(made) module = story_make((struct profile){ .kind = ISSUE_MODULE_IDENTITY,
						.common_name = "dev1",
						.names = { "dev1", "URI:azureiot://hub.local/devices/edge/modules/dev1" },
						.n_names = 2 },
		&root);
	CLEAR(made) device = story_make((struct profile){ .kind = ISSUE_DEVICE,
						.common_name = "dev1",
						.names = { "dev1", "URI:azureiot://hub.local/devices/dev1" },
						.n_names = 2 },
		&root);
	OWN(verdict) v = ca_verdict("dev1", NULL, &root, &device, NULL);

	ca_refused("dev1", &root, &module, NULL, NAME_OF_MODULE);
	CHECK_ACCEPTED(v);
}

TEST("atk-06: a device's certificate issues nothing, and a CA's certificate is no device's")
{
	CLEAR(made) root = story_root("device root");
	CLEAR(made) dev2 = story_device("dev2", &root);
	CLEAR(made) forged = story_crooked((struct crooked){ .common_name = "dev1" }, &dev2);
	CLEAR(made) ca_leaf = story_intermediate("dev1", &root);

	ca_refused("dev1", &root, &forged, &dev2, CERT_NOT_CA);
	ca_refused("dev1", &root, &ca_leaf, NULL, CERT_LEAF_IS_CA);
}

TEST("atk-06: a CA below the path length, without keyCertSign, or of X.509 version 1 issues nothing")
{
	CLEAR(made) root = story_make((struct profile){ .kind = ISSUE_ROOT, .common_name = "root", .path_len = 0 }, NULL);
	CLEAR(made) open = story_root("open root");
	CLEAR(made) too_deep =
		story_crooked((struct crooked){ .common_name = "deep",
				      .extensions = { "basicConstraints", "critical,CA:TRUE", "keyUsage", "keyCertSign" } },
			&root);
	CLEAR(made) no_sign =
		story_crooked((struct crooked){ .common_name = "nosign",
				      .extensions = { "basicConstraints", "critical,CA:TRUE", "keyUsage", "cRLSign" } },
			&open);
	CLEAR(made) version1 = story_crooked((struct crooked){ .common_name = "v1", .version = 1 }, &open);
	CLEAR(made) a = story_crooked((struct crooked){ .common_name = "dev1" }, &too_deep);
	CLEAR(made) b = story_crooked((struct crooked){ .common_name = "dev1" }, &no_sign);
	CLEAR(made) c = story_crooked((struct crooked){ .common_name = "dev1" }, &version1);
	OWN(verdict) after_v1 = ca_verdict("dev1", NULL, &open, &c, &version1);

	ca_refused("dev1", &root, &a, &too_deep, CERT_PATH_TOO_LONG);
	ca_refused("dev1", &open, &b, &no_sign, CERT_NOT_CA);
	CHECK(!verdict_accepted(after_v1));
}

TEST("atk-07: a CA that is trusted for something else vouches for no device, and without registered CAs nobody does")
{
	CLEAR(made) root = story_root("device root");
	CLEAR(made) servers = story_root("the hub's own server CA");
	CLEAR(made) leaf = story_device("dev1", &servers);

	ca_refused("dev1", &root, &leaf, &servers, TRUST_UNKNOWN_ISSUER);
	ca_refused("dev1", NULL, &leaf, &servers, TRUST_UNKNOWN_ISSUER);
}

TEST("atk-01: an expired leaf, and an expired CA, are refused for CA-signed devices")
{
	CLEAR(made) root = story_root("device root");
	CLEAR(made) old_ca =
		story_crooked((struct crooked){ .common_name = "old CA",
				      .extensions = { "basicConstraints", "critical,CA:TRUE", "keyUsage", "keyCertSign" },
				      .not_before = STORY_NOW - 200,
				      .not_after = STORY_NOW - 100 },
			&root);
	CLEAR(made) old = story_crooked(
		(struct crooked){ .common_name = "dev1", .not_before = STORY_NOW - 200, .not_after = STORY_NOW - 100 }, &root);
	CLEAR(made) below = story_crooked((struct crooked){ .common_name = "dev1" }, &old_ca);

	ca_refused("dev1", &root, &old, NULL, CERT_EXPIRED);
	ca_refused("dev1", &root, &below, &old_ca, CERT_EXPIRED);
}

TEST("atk-09: a resumed session brings the leaf alone: under a registered intermediate it is enough, else the chain does not close")
{
	CLEAR(made) root = story_root("device root");
	CLEAR(made) ca = story_intermediate("device CA", &root);
	CLEAR(made) leaf = story_device("dev1", &ca);
	OWN(verdict) v = ca_verdict("dev1", NULL, &ca, &leaf, NULL);

	CHECK_ACCEPTED(v);
	ca_refused("dev1", &root, &leaf, NULL, TRUST_UNKNOWN_ISSUER);
}
