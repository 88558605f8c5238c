/* SPDX-License-Identifier: Apache-2.0 */
/* The device that follows from an enrollment (provisioned_device.h). */
#include "hub/provisioning/provisioned_device.h"

#include "base/mem.h"
#include "hub/provisioning/attest.h"
#include "hub/provisioning/credential.h"
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
trust_certs(struct identity *device, const struct enrollment *e, const struct cert *shown)
{
	const struct cert *leaf = e->proof == ENROLLMENT_BY_CA ? shown : NULL;

	device->auth = IDENTITY_AUTH_THUMBPRINT;
	for (int i = 0; i < 2; i++) {
		const struct cert *cert = leaf ? leaf : e->certs[i] ? e->certs[i] : e->certs[1 - i];

		device->thumbprints[i] = thumbprint_of(cert);
	}
}

static void
trust_tpm(struct identity *device, const struct enrollment *e, const struct registration *r)
{
	device->auth = IDENTITY_AUTH_SAS;
	tpm_hub_keys(device->keys, e, r->storage_root_key);
}

static void
trust_keys(struct identity *device, const struct enrollment *e, const char *registration_id)
{
	device->auth = IDENTITY_AUTH_SAS;
	for (int i = 0; i < 2; i++) {
		if (e->is_group)
			attest_derive_key(&device->keys[i], &e->keys[i], registration_id);
		else
			secret_set(&device->keys[i], e->keys[i].bytes, e->keys[i].len);
	}
}

struct identity *
provisioned_device(const struct enrollment *e, const struct registration *r)
{
	const json_t *capabilities = json_object_get(e->wishes, "capabilities");
	struct identity *device;

	if (!r->issued && ((e->proof == ENROLLMENT_BY_CA && !r->shown) || (e->proof == ENROLLMENT_BY_TPM && !r->storage_root_key)))
		return NULL;
	device = identity_new(r->device_id, NULL);
	device->enabled = true;
	device->is_edge = json_is_true(json_object_get(capabilities, "iotEdge"));
	if (r->issued)
		credential_trust(device, r->issued);
	else if (e->proof == ENROLLMENT_BY_TPM)
		trust_tpm(device, e, r);
	else if (e->proof == ENROLLMENT_BY_KEY)
		trust_keys(device, e, r->id);
	else
		trust_certs(device, e, r->shown);
	return device;
}

struct identity *
provisioned_device_renewed(const struct identity *before, const struct identity *wanted)
{
	struct identity *device = identity_copy(before);

	device->auth = wanted->auth;
	for (int i = 0; i < 2; i++) {
		secret_set(&device->keys[i], wanted->keys[i].bytes, wanted->keys[i].len);
		mem_free(device->thumbprints[i]);
		device->thumbprints[i] = mem_text(wanted->thumbprints[i]);
	}
	return device;
}

bool
provisioned_device_is_same(const struct identity *before, const struct identity *wanted)
{
	OWN(identity) renewed = provisioned_device_renewed(before, wanted);

	return identity_same_trust(before, renewed);
}
