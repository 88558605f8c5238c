/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA256 of what the key is for (tpm_secret.h). */
#include "hub/provisioning/tpm_secret.h"

#include <string.h>

#include "base/digest.h"
#include "base/mem.h"

/* Neither ids nor base64 have the newline that parts are divided by. */
static void
derive(struct secret *out, const struct enrollment *e, const char *storage_root_key, const char *use)
{
	OWN_TEXT id = enrollment_id_fold(e->id);
	OWN_TEXT text = mem_textf("%s\n%s\n%s\n%s", use, id, e->endorsement_key, storage_root_key);
	uint8_t mac[DIGEST_SHA256_LEN];

	digest_hmac_sha256(e->keys[0].bytes, e->keys[0].len, text, strlen(text), mac);
	secret_set(out, mac, sizeof(mac));
	mem_wipe(mac, sizeof(mac));
}

void
tpm_challenge_key(struct secret *out, const struct enrollment *e, const char *storage_root_key, int64_t now, int age)
{
	OWN_TEXT use = mem_textf("challenge %lld", (long long)(now / TPM_CHALLENGE_WINDOW_S - age));

	derive(out, e, storage_root_key, use);
}

void
tpm_hub_keys(struct secret out[static 2], const struct enrollment *e, const char *storage_root_key)
{
	derive(&out[0], e, storage_root_key, "primary");
	derive(&out[1], e, storage_root_key, "secondary");
}
