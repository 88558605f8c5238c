/* SPDX-License-Identifier: Apache-2.0 */
/* The enrollment group of a development hub (dev_provisioning.h). */
#include "dev_provisioning.h"

#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "wire/codec.h"

#define GROUP_PATH "enrollmentGroups/" DEV_GROUP

static json_t *
group_json(const char *fixed)
{
	json_t *keys = json_object();
	uint8_t key[DIGEST_SHA256_LEN];
	struct buf text = BUF_INIT(128);

	if (fixed) {
		digest_hmac_sha256(fixed, strlen(fixed), GROUP_PATH, strlen(GROUP_PATH), key);
		base64_encode(&text, key, sizeof(key));
		json_object_set_new(keys, "primaryKey", json_string(buf_text(&text)));
		mem_wipe(key, sizeof(key));
	}
	buf_wipe(&text);
	return json_pack(
		"{s:s, s:{s:s, s:o}}", "enrollmentGroupId", DEV_GROUP, "attestation", "type", "symmetricKey", "symmetricKey", keys);
}

char *
dev_provisioning_group_key(struct hub_session *s, const char *fixed, struct err *err)
{
	OWN_LIB(json_t) wanted = group_json(fixed);
	OWN_LIB(json_t) made = NULL;
	OWN_LIB(json_t) shown = NULL;
	const char *key;

	if (hub_session_request(s, "PUT", GROUP_PATH, wanted, false, &made, err) < 0) {
		if (err->kind != ERR_CONFLICT) /* it is there */
			return NULL;
		*err = (struct err)ERR_INIT;
	}
	if (hub_session_request(s, "POST", GROUP_PATH "/attestationmechanism", NULL, false, &shown, err) < 0)
		return NULL;
	key = json_string_value(json_object_get(json_object_get(shown, "symmetricKey"), "primaryKey"));
	return key ? mem_text(key) : err_null(err, ERR_CONFLICT, "the enrollment group " DEV_GROUP " has no key");
}
