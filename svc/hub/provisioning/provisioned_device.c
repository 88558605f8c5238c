/* SPDX-License-Identifier: Apache-2.0 */
/* The device that follows from an enrollment (provisioned_device.h). */
#include "hub/provisioning/provisioned_device.h"

#include "base/mem.h"
#include "hub/provisioning/attest.h"
#include "hub/provisioning/tpm_secret.h"
#include "wire/codec.h"

static char *
thumbprint_of(const struct cert *cert)
{
	struct buf hex = BUF_INIT(128);

	hex_encode(&hex, cert_sha256(cert), DIGEST_SHA256_LEN, true);
	return buf_take_text(&hex);
}

/* hub 6.5: individual certificates by both slots, a single one in both; what a CA vouches for by the leaf that was shown. */
static void
trust_certs(struct identity *device, const struct enrollment *e, const struct certs *chain)
{
	const struct cert *shown = e->proof == ENROLLMENT_BY_CA ? chain->item[0] : NULL;

	device->auth = IDENTITY_AUTH_THUMBPRINT;
	for (int i = 0; i < 2; i++) {
		const struct cert *cert = shown ? shown : e->certs[i] ? e->certs[i] : e->certs[1 - i];

		mem_free(device->thumbprints[i]);
		device->thumbprints[i] = thumbprint_of(cert);
		secret_clear(&device->keys[i]);
	}
}

static void
trust_no_certs(struct identity *device)
{
	device->auth = IDENTITY_AUTH_SAS;
	for (int i = 0; i < 2; i++) {
		mem_free(device->thumbprints[i]);
		device->thumbprints[i] = NULL;
	}
}

static void
trust_tpm(struct identity *device, const struct enrollment *e)
{
	trust_no_certs(device);
	tpm_hub_keys(device->keys, e, e->storage_root_key);
}

static void
trust_keys(struct identity *device, const struct enrollment *e, const char *registration_id)
{
	trust_no_certs(device);
	for (int i = 0; i < 2; i++) {
		if (e->is_group)
			attest_derive_key(&device->keys[i], &e->keys[i], registration_id);
		else
			secret_set(&device->keys[i], e->keys[i].bytes, e->keys[i].len);
	}
}

struct identity *
provisioned_device(const struct enrollment *e, const struct certs *chain, const char *registration_id, const char *device_id,
	const struct identity *before)
{
	const json_t *capabilities = json_object_get(e->wishes, "capabilities");
	struct identity *device = before ? identity_copy(before) : identity_new(device_id, NULL);

	if (!before) {
		device->enabled = true;
		device->is_edge = json_is_true(json_object_get(capabilities, "iotEdge"));
	}
	if (e->proof == ENROLLMENT_BY_TPM)
		trust_tpm(device, e);
	else if (e->proof == ENROLLMENT_BY_KEY)
		trust_keys(device, e, registration_id);
	else
		trust_certs(device, e, chain);
	return device;
}
