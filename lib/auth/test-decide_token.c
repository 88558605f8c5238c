/* SPDX-License-Identifier: Apache-2.0 */
/* Shared access signatures of devices and modules. */
#include <inttypes.h>

#include "auth/trial.h"
#include "base/text.h"

#define PRIMARY "primary key of 24 bytes."
#define SECONDARY "secondary key, 24 bytes."
#define DEV1 TRIAL_HUB "/devices/dev1"

static struct trial
sas_identity(const char *device_id, const char *module_id)
{
	struct trial trial = trial_of(device_id, module_id, IDENTITY_AUTH_SAS);

	trial_key(&trial.target->keys[0], PRIMARY);
	trial_key(&trial.target->keys[1], SECONDARY);
	return trial;
}

static void
refused_with(const char *device_id, const char *module_id, char *token_take, enum reason reason)
{
	CLEAR(trial) trial = sas_identity(device_id, module_id);

	trial.token = token_take;
	trial_refused(&trial, reason);
}

static void
accepted_with(const char *device_id, const char *module_id, char *token_take)
{
	CLEAR(trial) trial = sas_identity(device_id, module_id);

	trial.token = token_take;
	trial_accepted(&trial);
}

/* A token with these very texts, rightly signed with the primary key over "sr\nse". */
static char *
signed_text(const char *sr, const char *se, const char *more)
{
	OWN_TEXT text = mem_textf("%s\n%s", sr, se);
	struct buf out = BUF_INIT(SAS_TOKEN_MAX), sig = BUF_INIT(64);
	uint8_t mac[DIGEST_SHA256_LEN];

	digest_hmac_sha256(PRIMARY, strlen(PRIMARY), text, strlen(text), mac);
	base64_encode(&sig, mac, sizeof(mac));
	buf_putf(&out, "SharedAccessSignature sr=%s&sig=", sr);
	percent_encode(&out, buf_text(&sig), sig.len);
	buf_putf(&out, "&se=%s%s", se, more);
	buf_clear(&sig);
	return buf_take_text(&out);
}

static char *
hour_from_now(void)
{
	return mem_textf("%d", STORY_NOW + 3600);
}

static char *
signed_for_an_hour(const char *sr, const char *more)
{
	OWN_TEXT se = hour_from_now();

	return signed_text(sr, se, more);
}

TEST("a token of the primary or the secondary key is accepted, and the verdict names the slot but never the token")
{
	CLEAR(trial) trial = sas_identity("dev1", NULL);
	OWN(verdict) v = NULL;
	OWN_TEXT said = NULL;

	accepted_with("dev1", NULL, trial_token(DEV1, PRIMARY, 0));
	trial.token = trial_token(DEV1, SECONDARY, 0);
	v = trial_decide(&trial);
	CHECK_ACCEPTED(v);
	said = verdict_json(v);
	CHECK_CONTAINS(said, "secondary key");
	CHECK(!strstr(said, "sig=") && !strstr(said, SECONDARY));
}

TEST("sr in each of the SDKs' encodings is accepted, since the signature covers it as it was written")
{
	accepted_with("dev1", NULL, signed_for_an_hour("contosoiothub.local/devices/dev1", ""));     /* C */
	accepted_with("dev1", NULL, signed_for_an_hour("contosoiothub.local%2Fdevices%2Fdev1", "")); /* Node, Python */
	accepted_with("dev1", NULL, signed_for_an_hour("contosoiothub.local%2fdevices%2fdev1", "")); /* docs */
	accepted_with("dev1", NULL, signed_for_an_hour("ContosoIotHub.LOCAL%2Fdevices%2Fdev1", ""));
	accepted_with("dev1", NULL, signed_for_an_hour("contosoiothub.local%3A8883%2Fdevices%2Fdev1", ""));
	accepted_with("dev1", NULL, signed_for_an_hour("contosoiothub.local/devices/dev1/api-version=2016-11-14", ""));
}

TEST("atk-11: a wrong key, a forged signature and one over the decoded text are refused")
{
	OWN_TEXT se = hour_from_now();
	OWN_TEXT over_decoded = signed_text(DEV1, se, "");
	OWN_TEXT plain_sig = mem_text(strstr(over_decoded, "&sig="));

	refused_with("dev1", NULL, trial_token(DEV1, "another key of 24 bytes.", 0), SAS_BAD_SIGNATURE);
	refused_with("dev1", NULL, mem_textf("SharedAccessSignature sr=contosoiothub.local%%2Fdevices%%2Fdev1%s", plain_sig),
		SAS_BAD_SIGNATURE);
	refused_with("dev1", NULL,
		mem_textf("SharedAccessSignature sr=" DEV1 "&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%%3D&se=%s", se),
		SAS_BAD_SIGNATURE);
}

TEST("atk-11: a key that is not there signs nothing")
{
	CLEAR(trial) trial = trial_of("dev1", NULL, IDENTITY_AUTH_SAS);

	trial.token = trial_token(DEV1, "", 0);
	trial_refused(&trial, SAS_BAD_SIGNATURE);
}

TEST("atk-11: an expiry that is missing, negative, huge, a fraction, hex, with a sign or a zero in front is malformed")
{
	static const char *const bad[] = { "-1", "1000000000000000000000000000000", "1750003600.5", "0x684ee180", "+1750003600",
		"01750003600", "", " 1750003600", "1750003600 ", "never" };

	for (size_t i = 0; i < COUNT(bad); i++)
		refused_with("dev1", NULL, signed_text(DEV1, bad[i], ""), SAS_MALFORMED);
	refused_with("dev1", NULL, mem_text("SharedAccessSignature sr=" DEV1 "&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"),
		SAS_MALFORMED);
}

TEST("atk-11: fields twice or unknown, truncated base64, and another scheme are malformed")
{
	refused_with("dev1", NULL, signed_for_an_hour(DEV1, "&se=9999999999"), SAS_MALFORMED);
	refused_with("dev1", NULL, signed_for_an_hour(DEV1, "&sig=AAAA"), SAS_MALFORMED);
	refused_with("dev1", NULL, signed_for_an_hour(DEV1, "&sr=other"), SAS_MALFORMED);
	refused_with("dev1", NULL, signed_for_an_hour(DEV1, "&x=y"), SAS_MALFORMED);
	refused_with("dev1", NULL, signed_for_an_hour(DEV1, "&"), SAS_MALFORMED);
	refused_with("dev1", NULL, mem_text("SharedAccessSignature sr=" DEV1 "&sig=AAAAAAAA&se=1750003600"), SAS_MALFORMED);
	refused_with("dev1", NULL, mem_text("Bearer abc"), SAS_MALFORMED);
	refused_with("dev1", NULL, mem_text("x"), SAS_MALFORMED);
}

TEST("a token past its expiry is refused, the second of the expiry included")
{
	refused_with("dev1", NULL, trial_token(DEV1, PRIMARY, STORY_NOW), SAS_EXPIRED);
	refused_with("dev1", NULL, trial_token(DEV1, PRIMARY, STORY_NOW - 1), SAS_EXPIRED);
	refused_with("dev1", NULL, trial_token(DEV1, PRIMARY, 1), SAS_EXPIRED);
	accepted_with("dev1", NULL, trial_token(DEV1, PRIMARY, STORY_NOW + 1));
}

TEST("atk-11: a token that outlives the policy is refused; without a policy it may live long")
{
	CLEAR(trial) trial = sas_identity("dev1", NULL);

	trial.token = trial_token(DEV1, PRIMARY, STORY_NOW + 7201);
	trial_accepted(&trial);
	trial.policy.max_token_life_s = 7200;
	trial_refused(&trial, SAS_TOO_LONG_LIVED);
	trial.policy.max_token_life_s = 7201;
	trial_accepted(&trial);
}

TEST("atk-11: a token is for this identity on this hub, by whole segments")
{
	static const char *const bad[] = { TRIAL_HUB "/devices/dev10", TRIAL_HUB "/devices/dev", TRIAL_HUB "/devices/DEV1",
		TRIAL_HUB "/devices/", TRIAL_HUB "/devices", TRIAL_HUB, TRIAL_HUB "/", TRIAL_HUB "/devices/dev1/",
		TRIAL_HUB "/devices/dev1/modules/m", TRIAL_HUB "/Devices/dev1", "otherhub.local/devices/dev1",
		"contosoiothub.local.evil/devices/dev1", "/devices/dev1", "devices/dev1" };

	for (size_t i = 0; i < COUNT(bad); i++)
		refused_with("dev1", NULL, trial_token(bad[i], PRIMARY, 0), SAS_WRONG_RESOURCE);
}

TEST("atk-04, atk-11: a module has keys and a resource of its own: its device's token, and one for all modules, are refused")
{
	accepted_with("dev1", "mod", trial_token(DEV1 "/modules/mod", PRIMARY, 0));
	refused_with("dev1", "mod", trial_token(DEV1, PRIMARY, 0), SAS_WRONG_RESOURCE);
	refused_with("dev1", "mod", trial_token(DEV1 "/modules", PRIMARY, 0), SAS_WRONG_RESOURCE);
	refused_with("dev1", "mod", trial_token(DEV1 "/modules/mod2", PRIMARY, 0), SAS_WRONG_RESOURCE);
	refused_with("dev1", "mod", trial_token(TRIAL_HUB "/devices/dev2/modules/mod", PRIMARY, 0), SAS_WRONG_RESOURCE);
	refused_with("dev1", "mod", trial_token(DEV1 "/modules/mod", "the key of its device...", 0), SAS_BAD_SIGNATURE);
}

#define DEVICE_KEY "the key of its device..."

/* dev1/mod at a gateway, which has the record of dev1 beside it. */
struct visit {
	struct trial trial;
	struct identity *device;
	const struct identity *signer;
};

static void
visit_clear(struct visit *visit)
{
	trial_clear(&visit->trial);
	identity_free(visit->device);
}

static void
visit_init(struct visit *visit, const char *resource, const char *key)
{
	*visit = (struct visit){ .trial = sas_identity("dev1", "mod"), .device = identity_new("dev1", NULL) };
	visit->device->enabled = true;
	visit->device->auth = IDENTITY_AUTH_SAS;
	trial_key(&visit->device->keys[1], DEVICE_KEY);
	visit->trial.records.device = visit->device;
	visit->trial.records.signer = &visit->signer;
	visit->trial.token = trial_token(resource, key, 0);
}

TEST("at a gateway a module gets in with its device's key, and with a token that is made for its device")
{
	static const struct {
		const char *resource, *key, *words;
	} rows[] = {
		{ DEV1 "/modules/mod", PRIMARY, "\"primary key\"" },
		{ DEV1 "/modules/mod", DEVICE_KEY, "secondary key of its device" },
		{ DEV1, DEVICE_KEY, "secondary key of its device" },
		{ DEV1, SECONDARY, "\"secondary key\"" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEAR(visit) visit;
		OWN(verdict) v = NULL;
		OWN_TEXT said = NULL;
		bool by_device = strstr(rows[i].words, "device") != NULL;

		visit_init(&visit, rows[i].resource, rows[i].key);
		v = trial_decide(&visit.trial);
		CHECK_ACCEPTED(v);
		said = verdict_json(v);
		CHECK_CONTAINS(said, rows[i].words);
		assert_ptr_equal(visit.signer, by_device ? visit.device : visit.trial.target);
	}
}

TEST("atk-11: at a gateway too a module's token is for it or its device, by whole segments, and of a key of one of these")
{
	static const struct {
		const char *resource, *key;
		enum reason reason;
	} rows[] = {
		{ DEV1, "a key of nobody's", SAS_BAD_SIGNATURE },
		{ DEV1 "0", DEVICE_KEY, SAS_WRONG_RESOURCE },
		{ TRIAL_HUB "/devices/dev", DEVICE_KEY, SAS_WRONG_RESOURCE },
		{ TRIAL_HUB "/devices/dev2/modules/mod", DEVICE_KEY, SAS_WRONG_RESOURCE },
		{ DEV1 "/modules/mod2", DEVICE_KEY, SAS_WRONG_RESOURCE },
		{ DEV1 "/modules", DEVICE_KEY, SAS_WRONG_RESOURCE },
		{ TRIAL_HUB "/devices", DEVICE_KEY, SAS_WRONG_RESOURCE },
		{ TRIAL_HUB, DEVICE_KEY, SAS_WRONG_RESOURCE },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEAR(visit) visit;

		visit_init(&visit, rows[i].resource, rows[i].key);
		trial_refused(&visit.trial, rows[i].reason);
		assert_null(visit.signer);
	}
}

TEST("a module's token is no device's, whoever signed it")
{
	CLEAR(trial) trial = sas_identity("dev1", NULL);

	trial.records.device = trial.target;
	trial.token = trial_token(DEV1 "/modules/mod", PRIMARY, 0);
	trial_refused(&trial, SAS_WRONG_RESOURCE);
}

TEST("a device that is disabled, or registered for a certificate, signs for none of its modules")
{
	static const enum identity_auth others[] = { IDENTITY_AUTH_NONE, IDENTITY_AUTH_THUMBPRINT, IDENTITY_AUTH_CA };
	CLEAR(visit) disabled;

	visit_init(&disabled, DEV1, DEVICE_KEY);
	disabled.device->enabled = false;
	trial_refused(&disabled.trial, SAS_BAD_SIGNATURE);
	for (size_t i = 0; i < COUNT(others); i++) {
		CLEAR(visit) visit;

		visit_init(&visit, DEV1, DEVICE_KEY);
		visit.device->auth = others[i];
		trial_refused(&visit.trial, SAS_BAD_SIGNATURE);
	}
}

TEST("a module that is registered for a certificate gets in with its device's key and not with one of its own; one that is "
     "registered for nothing does not")
{
	CLEAR(visit) by_device;
	CLEAR(visit) by_own;
	CLEAR(visit) nothing;

	visit_init(&by_device, DEV1, DEVICE_KEY);
	by_device.trial.target->auth = IDENTITY_AUTH_THUMBPRINT;
	trial_accepted(&by_device.trial);
	visit_init(&by_own, DEV1 "/modules/mod", PRIMARY);
	by_own.trial.target->auth = IDENTITY_AUTH_THUMBPRINT;
	trial_refused(&by_own.trial, SAS_BAD_SIGNATURE);
	visit_init(&nothing, DEV1, DEVICE_KEY);
	nothing.trial.target->auth = IDENTITY_AUTH_NONE;
	trial_refused(&nothing.trial, DEVICE_WRONG_AUTH_TYPE);
}

TEST("another device's record beside it, and a module's, stand for nobody")
{
	OWN(identity) other = identity_new("dev2", NULL);
	OWN(identity) sibling = identity_new("dev1", "sibling");
	const struct identity *const beside[] = { other, sibling };

	for (size_t i = 0; i < COUNT(beside); i++) {
		CLEAR(visit) visit;
		struct identity *record = i == 0 ? other : sibling;

		visit_init(&visit, DEV1 "/modules/mod", DEVICE_KEY);
		record->enabled = true;
		record->auth = IDENTITY_AUTH_SAS;
		trial_key(&record->keys[0], DEVICE_KEY);
		visit.trial.records.device = beside[i];
		trial_refused(&visit.trial, SAS_BAD_SIGNATURE);
	}
}

TEST("nobody is let in as a gateway's $edgeHub by less than its own key")
{
	CLEAR(visit) visit;
	CLEAR(trial) own = sas_identity("dev1", "$edgeHub");

	visit_init(&visit, DEV1 "/modules/$edgeHub", DEVICE_KEY);
	identity_free(visit.trial.target);
	visit.trial.target = identity_new("dev1", "$edgeHub");
	visit.trial.target->enabled = true;
	visit.trial.target->auth = IDENTITY_AUTH_SAS;
	visit.trial.records.target = visit.trial.target;
	visit.trial.claim.device_id = visit.trial.target->device_id;
	visit.trial.claim.module_id = visit.trial.target->module_id;
	trial_refused(&visit.trial, SAS_BAD_SIGNATURE);
	own.records.device = visit.device;
	own.token = trial_token(DEV1, PRIMARY, 0);
	trial_refused(&own, SAS_WRONG_RESOURCE);
}

TEST("at a gateway ids in a token's resource count in any case, by whole segments as ever; the hub reads them as they are")
{
	CLEAR(visit) visit;
	CLEAR(trial) another = sas_identity("dev1", NULL);

	visit_init(&visit, TRIAL_HUB "/devices/DEV1/modules/Mod", PRIMARY);
	trial_refused(&visit.trial, SAS_WRONG_RESOURCE);
	visit.trial.claim.audience.ids_in_any_case = true;
	trial_accepted(&visit.trial);
	another.claim.audience.ids_in_any_case = true;
	another.token = trial_token(TRIAL_HUB "/devices/DEV10", PRIMARY, 0);
	trial_refused(&another, SAS_WRONG_RESOURCE);
}

TEST("atk-11: a token that names a policy is no device's")
{
	refused_with("dev1", NULL, signed_for_an_hour(DEV1, "&skn=iothubowner"), SAS_WRONG_RESOURCE);
	refused_with("dev1", NULL, signed_for_an_hour(DEV1, "&skn="), SAS_WRONG_RESOURCE);
}

static bool
is_gateway(void *arg, const char *host)
{
	(void)arg;
	return text_is_nocase(host, "EdgeGateway.local") || text_is(host, "10.1.2.3") || text_is(host, "2001:db8::7");
}

TEST("a gateway accepts each of its own names and addresses as the token's host; the hub does not know them")
{
	static const char *const hosts[] = { "edgegateway.local", "EDGEGATEWAY.local:8883", "10.1.2.3", "10.1.2.3:8883",
		"2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:8883" };

	for (size_t i = 0; i < COUNT(hosts); i++) {
		CLEAR(trial) trial = sas_identity("dev1", NULL);
		OWN_TEXT resource = mem_textf("%s/devices/dev1", hosts[i]);

		trial.token = trial_token(resource, PRIMARY, 0);
		trial_refused(&trial, SAS_WRONG_RESOURCE);
		trial.claim.audience.is_own_name = is_gateway;
		trial_accepted(&trial);
	}
	refused_with("dev1", NULL, trial_token("10.1.2.4/devices/dev1", PRIMARY, 0), SAS_WRONG_RESOURCE);
}

TEST("ids with all their characters find their token")
{
	accepted_with("a-b:c.+%_#*?!(),=@;$'", NULL, trial_token(TRIAL_HUB "/devices/a-b:c.+%_#*?!(),=@;$'", PRIMARY, 0));
}

TEST("when a token ends is told for closing its connection then; what is no token ends never")
{
	OWN_TEXT token = trial_token(DEV1, PRIMARY, STORY_NOW + 60);

	CHECK_INT(auth_token_expiry(token), STORY_NOW + 60);
	CHECK_INT(auth_token_expiry(NULL), 0);
	CHECK_INT(auth_token_expiry(""), 0);
	CHECK_INT(auth_token_expiry("x"), 0);
}
