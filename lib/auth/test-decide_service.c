/* SPDX-License-Identifier: Apache-2.0 */
/* Services and their shared access policies. */
#include "auth/trial.h"

#define OWNER_KEY "the key of iothubowner.."
#define READ_KEY "the key of registryRead."

static enum reason
cause(const char *token, const char *resource, unsigned needed)
{
	struct secret owner[2], reader[2] = { 0 };
	struct auth_service_policy policies[] = {
		{ .name = "iothubowner",
			.rights = AUTH_REGISTRY_READ | AUTH_REGISTRY_WRITE | AUTH_SERVICE_CONNECT | AUTH_DEVICE_CONNECT,
			.keys = { &owner[0], &owner[1] } },
		{ .name = "registryRead", .rights = AUTH_REGISTRY_READ, .keys = { &reader[0], &reader[1] } },
	};
	OWN(verdict) v = NULL;

	trial_key(&owner[0], OWNER_KEY);
	trial_key(&owner[1], "its secondary key.......");
	trial_key(&reader[0], READ_KEY);
	v = auth_decide_service(TRIAL_HUB, resource, token, policies, COUNT(policies), needed, STORY_NOW);
	return verdict_cause(v);
}

static enum reason
cause_of(const char *resource, int64_t expiry, const char *policy, const char *key_text, unsigned needed)
{
	struct buf token = BUF_INIT(SAS_TOKEN_MAX);
	struct secret key;
	enum reason reason;

	trial_key(&key, key_text);
	sas_sign(&token, resource, expiry, policy, &key);
	reason = cause(buf_text(&token), "devices/dev1", needed);
	buf_clear(&token);
	return reason;
}

TEST("a policy's token for the hub, for all devices or for the one concerned is accepted, with either key")
{
	static const char *const good[] = { TRIAL_HUB, TRIAL_HUB "/devices", TRIAL_HUB "/devices/dev1", "CONTOSOIOTHUB.local" };

	for (size_t i = 0; i < COUNT(good); i++)
		CHECK_INT(cause_of(good[i], STORY_NOW + 60, "iothubowner", OWNER_KEY, AUTH_REGISTRY_WRITE), OK);
	CHECK_INT(cause_of(TRIAL_HUB, STORY_NOW + 60, "iothubowner", "its secondary key.......", AUTH_REGISTRY_WRITE), OK);
}

TEST("a policy may do what its rights say and no more")
{
	CHECK_INT(cause_of(TRIAL_HUB, STORY_NOW + 60, "registryRead", READ_KEY, AUTH_REGISTRY_READ), OK);
	CHECK_INT(cause_of(TRIAL_HUB, STORY_NOW + 60, "registryRead", READ_KEY, AUTH_REGISTRY_WRITE), SAS_NO_PERMISSION);
	CHECK_INT(cause_of(TRIAL_HUB, STORY_NOW + 60, "registryRead", READ_KEY, AUTH_REGISTRY_READ | AUTH_SERVICE_CONNECT),
		SAS_NO_PERMISSION);
}

TEST("atk-11: another policy's key, no policy, an unknown one, and a key that is not there are refused")
{
	CHECK_INT(cause_of(TRIAL_HUB, STORY_NOW + 60, "iothubowner", READ_KEY, AUTH_REGISTRY_READ), SAS_BAD_SIGNATURE);
	CHECK_INT(cause_of(TRIAL_HUB, STORY_NOW + 60, "registryRead", "", AUTH_REGISTRY_READ), SAS_BAD_SIGNATURE);
	CHECK_INT(cause_of(TRIAL_HUB, STORY_NOW + 60, NULL, OWNER_KEY, AUTH_REGISTRY_READ), SAS_UNKNOWN_POLICY);
	CHECK_INT(cause_of(TRIAL_HUB, STORY_NOW + 60, "IotHubOwner", OWNER_KEY, AUTH_REGISTRY_READ), SAS_UNKNOWN_POLICY);
	CHECK_INT(cause_of(TRIAL_HUB, STORY_NOW + 60, "root", OWNER_KEY, AUTH_REGISTRY_READ), SAS_UNKNOWN_POLICY);
}

TEST("atk-11: an expired token and one for another resource or hub are refused")
{
	CHECK_INT(cause_of(TRIAL_HUB, STORY_NOW, "iothubowner", OWNER_KEY, AUTH_REGISTRY_READ), SAS_EXPIRED);
	CHECK_INT(cause_of("otherhub.local", STORY_NOW + 60, "iothubowner", OWNER_KEY, AUTH_REGISTRY_READ), SAS_WRONG_RESOURCE);
	CHECK_INT(cause_of(TRIAL_HUB "/devices/dev10", STORY_NOW + 60, "iothubowner", OWNER_KEY, AUTH_REGISTRY_READ),
		SAS_WRONG_RESOURCE);
	CHECK_INT(cause_of(TRIAL_HUB "/jobs", STORY_NOW + 60, "iothubowner", OWNER_KEY, AUTH_REGISTRY_READ), SAS_WRONG_RESOURCE);
}

TEST("no token, and none that can be read, are told apart")
{
	CHECK_INT(cause("", "devices/dev1", AUTH_REGISTRY_READ), DEVICE_NO_CREDENTIAL);
	CHECK_INT(cause(NULL, "devices/dev1", AUTH_REGISTRY_READ), DEVICE_NO_CREDENTIAL);
	CHECK_INT(cause("Bearer x", "devices/dev1", AUTH_REGISTRY_READ), SAS_MALFORMED);
}
