/* SPDX-License-Identifier: Apache-2.0 */
/* Enrollments as services send and see them (hub 7, clients-observed 8).  An update sends back what a look gave, which has neither keys nor certificates: so
 * what is missing there is what was there.  Pure but for fresh keys and etags. */
#include <string.h>

#include "auth/identity.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "ca/ca_profile.h"
#include "hub/provisioning/custom_allocation.h"
#include "hub/provisioning/enrollment.h"
#include "hub/registry/ca.h"
#include "keys/tpm_seed.h"
#include "wire/codec.h"
#include "wire/json.h"

#define KEY_LEN 64 /* of keys that are made here */
#define KEY_LEN_MIN 16
#define KEY_LEN_MAX 64
#define KEY_TEXT_MAX 128
#define CERT_TEXT_MAX 16384

static const char *const slots[2] = { "primary", "secondary" };
static const char *const key_names[2] = { "primaryKey", "secondaryKey" };

/* -- What becomes of the device: kept as it was sent ------------------------------------------------------------------------------- */

struct wish_row {
	const char *name;
	json_type type;
};
static const struct wish_row wish_rows[] = {
	{ "capabilities", JSON_OBJECT },
	{ "initialTwin", JSON_OBJECT },
	{ "reprovisionPolicy", JSON_OBJECT },
	{ "optionalDeviceInformation", JSON_OBJECT },
	{ "customAllocationDefinition", JSON_OBJECT },
	{ "allocationPolicy", JSON_STRING },
	{ "iotHubHostName", JSON_STRING },
	{ "iotHubs", JSON_ARRAY },
	{ "credentialPolicyName", JSON_STRING },
};

static int
check_allocation(const json_t *wishes, struct err *err)
{
	static const char *const policies[] = { "hashed", "weighted", "geoLatency", "static", "custom" };
	const char *policy = json_string_value(json_object_get(wishes, "allocationPolicy"));
	const json_t *custom = json_object_get(wishes, "customAllocationDefinition");
	bool known = !policy;

	for (size_t i = 0; i < COUNT(policies); i++)
		known = known || text_is(policy, policies[i]);
	if (!known)
		return err_set(err, ERR_INVALID, "allocationPolicy is none of hashed, weighted, geoLatency, static, custom");
	if (!text_is(policy, "custom"))
		return 0;
	if (!json_is_string(json_object_get(custom, "webhookUrl")))
		return err_set(err, ERR_INVALID, "allocationPolicy custom needs customAllocationDefinition.webhookUrl");
	return custom_allocation_check_url(json_string_value(json_object_get(custom, "webhookUrl")), err);
}

static int
check_flags(const json_t *wishes, struct err *err)
{
	const json_t *capabilities = json_object_get(wishes, "capabilities");
	const json_t *reprovision = json_object_get(wishes, "reprovisionPolicy");
	bool flag;

	if (capabilities && json_find_bool(capabilities, "iotEdge", &flag, err) < 0)
		return -1;
	if (reprovision && (json_find_bool(reprovision, "updateHubAssignment", &flag, err) < 0 ||
				   json_find_bool(reprovision, "migrateDeviceData", &flag, err) < 0))
		return -1;
	return 0;
}

/* Whether there is such a policy is the service's affair. */
static int
check_credential(const json_t *wishes, struct err *err)
{
	const char *name = json_string_value(json_object_get(wishes, "credentialPolicyName"));

	if (!name || ca_profile_name_is_valid(name))
		return 0;
	return err_set(
		err, ERR_INVALID, "credentialPolicyName is not a name of 1 to %d letters, digits and -._", CA_PROFILE_NAME_MAX);
}

/* The hub would refuse another one when the device comes. */
static int
check_twin(const json_t *wishes, struct err *err)
{
	const json_t *twin = json_object_get(wishes, "initialTwin");
	json_t *tags, *properties = NULL, *desired;

	if (twin && (json_find_object(twin, "tags", &tags, err) < 0 || json_find_object(twin, "properties", &properties, err) < 0))
		return err_wrap(err, "initialTwin");
	return properties && json_find_object(properties, "desired", &desired, err) < 0 ? err_wrap(err, "initialTwin") : 0;
}

static int
take_wishes(struct enrollment *e, const json_t *body, struct err *err)
{
	e->wishes = json_object();
	for (size_t i = 0; i < COUNT(wish_rows); i++) {
		json_t *value = json_object_get(body, wish_rows[i].name);

		if (!value || json_is_null(value))
			continue;
		if (json_typeof(value) != wish_rows[i].type)
			return err_set(err, ERR_INVALID, "%s is of another type", wish_rows[i].name);
		json_object_set(e->wishes, wish_rows[i].name, value);
	}
	if (check_allocation(e->wishes, err) < 0 || check_flags(e->wishes, err) < 0 || check_credential(e->wishes, err) < 0)
		return -1;
	return check_twin(e->wishes, err);
}

/* -- Keys ------------------------------------------------------------------------------------------------------------------------ */

static int
read_key(struct secret *out, const char *text, const char *name, struct err *err)
{
	struct buf bytes = BUF_INIT(KEY_TEXT_MAX);
	bool good =
		base64_decode(&bytes, text, strlen(text), BASE64_STRICT) && bytes.len >= KEY_LEN_MIN && bytes.len <= KEY_LEN_MAX;

	if (good)
		secret_set(out, bytes.data, bytes.len);
	buf_wipe(&bytes);
	return good ? 0 : err_set(err, ERR_INVALID, "%s is not the base64 of %d to %d bytes", name, KEY_LEN_MIN, KEY_LEN_MAX);
}

static void
make_key(struct secret *out)
{
	uint8_t fresh[KEY_LEN];

	random_bytes(fresh, sizeof(fresh));
	secret_set(out, fresh, sizeof(fresh));
	mem_wipe(fresh, sizeof(fresh));
}

static int
take_keys(struct enrollment *e, const json_t *attestation, const struct enrollment *before, struct err *err)
{
	bool keep = before && before->proof == ENROLLMENT_BY_KEY;
	json_t *keys = NULL;
	const char *text;

	e->proof = ENROLLMENT_BY_KEY;
	if (json_find_object(attestation, "symmetricKey", &keys, err) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		text = NULL;
		if (keys && json_find_text(keys, key_names[i], &text, err) < 0)
			return -1;
		if (text && *text) {
			if (read_key(&e->keys[i], text, key_names[i], err) < 0)
				return -1;
		} else if (keep) {
			secret_set(&e->keys[i], before->keys[i].bytes, before->keys[i].len);
		} else {
			make_key(&e->keys[i]);
		}
	}
	return 0;
}

/* -- Certificates ------------------------------------------------------------------------------------------------------------------ */

/* PEM, or the base64 of DER. */
static struct cert *
read_cert(const char *text, struct err *err)
{
	struct certs list = { 0 };
	struct buf der = BUF_INIT(CERT_TEXT_MAX);
	struct cert *cert = NULL;

	if (strlen(text) > CERT_TEXT_MAX)
		return err_null(err, ERR_LIMIT, "a certificate of more than %d characters", CERT_TEXT_MAX);
	if (strstr(text, "-----BEGIN")) {
		if (certs_parse(&list, text, strlen(text), 1, err) == 0)
			cert = cert_ref(list.item[0]);
		certs_clear(&list);
		return cert;
	}
	if (base64_decode(&der, text, strlen(text), BASE64_LAX))
		cert = cert_from_der(der.data, der.len, err);
	else
		(void)err_set(err, ERR_INVALID, "a certificate is neither PEM nor the base64 of DER");
	buf_clear(&der);
	return cert;
}

static int
check_cert(const struct enrollment *e, const struct cert *cert, struct err *err)
{
	if (!cert_has_acceptable_key(cert))
		return err_set(err, ERR_INVALID, "the key of %s is of a kind or size that is not accepted", cert_subject(cert));
	if (e->proof == ENROLLMENT_BY_CA && !cert_is_ca(cert))
		return err_set(err, ERR_INVALID, "%s signs nothing: it is no CA certificate", cert_subject(cert));
	if (e->proof == ENROLLMENT_BY_CERT && cert_is_ca(cert))
		return err_set(err, ERR_INVALID, "%s is a CA certificate, not a device's", cert_subject(cert));
	return 0;
}

/* A slot with `info` alone is what a look gave: the certificate that was there. */
static int
take_slot(struct enrollment *e, int i, const json_t *pair, const struct enrollment *before, struct err *err)
{
	json_t *slot = NULL;
	const char *text;

	if (json_find_object(pair, slots[i], &slot, err) < 0)
		return -1;
	if (!slot)
		return 0;
	if (json_find_text(slot, "certificate", &text, err) < 0)
		return -1;
	if (text && *text)
		e->certs[i] = read_cert(text, err);
	else if (before && before->proof == e->proof && before->certs[i])
		e->certs[i] = cert_ref(before->certs[i]);
	else
		return err_set(err, ERR_INVALID, "%s has no certificate", slots[i]);
	return e->certs[i] ? check_cert(e, e->certs[i], err) : err_wrap(err, "%s", slots[i]);
}

/* Names of CAs that are registered here; whether they are is looked at by who has the list. */
static int
take_ca_names(struct enrollment *e, const json_t *pair, struct err *err)
{
	const char *name;

	for (int i = 0; i < 2; i++) {
		if (json_find_text(pair, slots[i], &name, err) < 0)
			return err_wrap(err, "caReferences");
		if (name && *name && !ca_name_is_valid(name))
			return err_set(err, ERR_INVALID, "caReferences.%s is no name of a certificate", slots[i]);
		e->ca_names[i] = name && *name ? mem_text(name) : NULL;
	}
	return enrollment_has_ca_names(e) ? 0 : err_set(err, ERR_INVALID, "caReferences names no certificate");
}

static int
take_pair(struct enrollment *e, const json_t *pair, const struct enrollment *before, struct err *err)
{
	for (int i = 0; i < 2; i++)
		if (take_slot(e, i, pair, before, err) < 0)
			return -1;
	return e->certs[0] || e->certs[1] ? 0 : err_set(err, ERR_INVALID, "there is no certificate");
}

static int
take_certs(struct enrollment *e, const json_t *attestation, const struct enrollment *before, struct err *err)
{
	json_t *x509 = NULL, *own = NULL, *signing = NULL, *names = NULL;

	if (json_find_object(attestation, "x509", &x509, err) < 0)
		return -1;
	if (x509 && (json_find_object(x509, "clientCertificates", &own, err) < 0 ||
			    json_find_object(x509, "signingCertificates", &signing, err) < 0 ||
			    json_find_object(x509, "caReferences", &names, err) < 0))
		return -1;
	if (!!own + !!signing + !!names != 1)
		return err_set(
			err, ERR_INVALID, "attestation.x509 needs one of clientCertificates, signingCertificates, caReferences");
	if (own && e->is_group)
		return err_set(err, ERR_INVALID, "a group has no clientCertificates: its CA signs");
	e->proof = own ? ENROLLMENT_BY_CERT : ENROLLMENT_BY_CA;
	return names ? take_ca_names(e, names, err) : take_pair(e, own ? own : signing, before, err);
}

/* -- TPMs -------------------------------------------------------------------------------------------------------------------------- */

/* A key that nothing can be encrypted for is refused now, and not when the device comes. */
static int
read_tpm_key(char **out, struct tpm_public *key, const char *text, const char *name, struct err *err)
{
	if (tpm_public_parse(key, text, err) < 0 || tpm_seed_check(key, err) < 0)
		return err_wrap(err, "%s", name);
	*out = mem_text(text);
	return 0;
}

static int
take_tpm_keys(struct enrollment *e, const json_t *tpm, struct err *err)
{
	const char *ek, *srk;
	struct tpm_public key;

	if (json_get_text(tpm, "endorsementKey", &ek, err) < 0 || json_find_text(tpm, "storageRootKey", &srk, err) < 0 ||
		read_tpm_key(&e->endorsement_key, &key, ek, "endorsementKey", err) < 0)
		return -1;
	if (!srk || !*srk)
		return 0;
	if (read_tpm_key(&e->storage_root_key, &key, srk, "storageRootKey", err) < 0)
		return -1;
	return tpm_public_may_be_parent(&key) ? 0
					      : err_set(err, ERR_INVALID, "storageRootKey is not used by its authorisation alone");
}

/* The same TPM keeps its keys over an update. */
static int
take_tpm(struct enrollment *e, const json_t *attestation, const struct enrollment *before, struct err *err)
{
	json_t *tpm = NULL;

	if (e->is_group)
		return err_set(err, ERR_INVALID, "a group has no tpm: an endorsement key is of one device");
	if (json_find_object(attestation, "tpm", &tpm, err) < 0)
		return -1;
	if (!tpm)
		return err_set(err, ERR_INVALID, "missing field `attestation.tpm`");
	e->proof = ENROLLMENT_BY_TPM;
	if (take_tpm_keys(e, tpm, err) < 0)
		return -1;
	if (before && before->proof == ENROLLMENT_BY_TPM && text_is(before->endorsement_key, e->endorsement_key))
		secret_set(&e->keys[0], before->keys[0].bytes, before->keys[0].len);
	else
		make_key(&e->keys[0]);
	return 0;
}

/* -- From JSON --------------------------------------------------------------------------------------------------------------------- */

static int
take_attestation(struct enrollment *e, const struct enrollment_wish *wish, struct err *err)
{
	json_t *attestation = NULL;
	const char *type;

	if (json_find_object(wish->body, "attestation", &attestation, err) < 0)
		return -1;
	if (!attestation)
		return err_set(err, ERR_INVALID, "missing field `attestation`");
	if (json_get_text(attestation, "type", &type, err) < 0)
		return -1;
	if (text_is(type, "symmetricKey"))
		return take_keys(e, attestation, wish->before, err);
	if (text_is(type, "x509"))
		return take_certs(e, attestation, wish->before, err);
	if (text_is(type, "tpm"))
		return take_tpm(e, attestation, wish->before, err);
	return err_set(err, ERR_INVALID, "attestation of type '%.32s' is not possible here", type);
}

static int
take_ids(struct enrollment *e, const struct enrollment_wish *wish, struct err *err)
{
	const char *given, *device_id = NULL;
	OWN_TEXT mine = enrollment_id_fold(wish->id);
	OWN_TEXT other = NULL;

	if (!enrollment_id_is_valid(wish->id))
		return err_set(err, ERR_INVALID, "an id has 1 to %d letters, digits and -._: and ends with a letter, a digit or -",
			ENROLLMENT_ID_MAX);
	if (json_find_text(wish->body, wish->is_group ? "enrollmentGroupId" : "registrationId", &given, err) < 0)
		return -1;
	other = given ? enrollment_id_fold(given) : NULL;
	if (other && !text_is(other, mine))
		return err_set(err, ERR_INVALID, "the id in the body is not that of the path");
	if (!wish->is_group && json_find_text(wish->body, "deviceId", &device_id, err) < 0)
		return -1;
	if (device_id && *device_id && !identity_id_is_valid(device_id))
		return err_set(err, ERR_INVALID, "deviceId is no id of a device");
	e->device_id = device_id && *device_id ? mem_text(device_id) : NULL;
	return 0;
}

static int
take_status(struct enrollment *e, const json_t *body, struct err *err)
{
	const char *status;

	if (json_find_text(body, "provisioningStatus", &status, err) < 0)
		return -1;
	e->enabled = !status || text_is_nocase(status, "enabled");
	if (!e->enabled && !text_is_nocase(status, "disabled"))
		return err_set(err, ERR_INVALID, "provisioningStatus is neither enabled nor disabled");
	return 0;
}

char *
enrollment_etag(void)
{
	char uuid[RANDOM_UUID_LEN];
	OWN_TEXT quoted = mem_textf("\"%s\"", random_uuid(uuid));
	struct buf text = BUF_INIT(128);

	base64_encode(&text, quoted, strlen(quoted));
	return buf_take_text(&text);
}

struct enrollment *
enrollment_compose(const struct enrollment_wish *wish, struct err *err)
{
	const struct enrollment *before = wish->before;
	OWN(enrollment) e = enrollment_new(before ? before->id : wish->id, wish->is_group);

	if (take_ids(e, wish, err) < 0 || take_status(e, wish->body, err) < 0 || take_attestation(e, wish, err) < 0 ||
		take_wishes(e, wish->body, err) < 0)
		return NULL;
	e->etag = enrollment_etag();
	e->created = before ? before->created : wish->now;
	e->updated = wish->now;
	return GIVE(e);
}

/* -- To JSON ------------------------------------------------------------------------------------------------------------------------ */

static void
put_hex(json_t *object, const char *name, const uint8_t *bytes, size_t len)
{
	struct buf hex = BUF_INIT(128);

	hex_encode(&hex, bytes, len, true);
	json_object_set_new(object, name, json_string(buf_text(&hex)));
	buf_clear(&hex);
}

static void
put_time(json_t *object, const char *name, int64_t wall)
{
	char text[CLOCK_TEXT_LEN];

	json_object_set_new(object, name, json_string(clock_text(wall, text)));
}

/* Other than in our own texts, the serial number has no colons. */
static json_t *
serial_json(const struct cert *cert)
{
	OWN_TEXT text = cert_serial_hex(cert);

	return json_string(text);
}

static json_t *
cert_info_json(const struct cert *cert)
{
	json_t *info = json_object();

	json_object_set_new(info, "subjectName", json_string(cert_subject(cert)));
	put_hex(info, "sha1Thumbprint", cert_sha1(cert), DIGEST_SHA1_LEN);
	put_hex(info, "sha256Thumbprint", cert_sha256(cert), DIGEST_SHA256_LEN);
	json_object_set_new(info, "issuerName", json_string(cert_issuer(cert)));
	put_time(info, "notBeforeUtc", cert_not_before(cert));
	put_time(info, "notAfterUtc", cert_not_after(cert));
	json_object_set_new(info, "serialNumber", serial_json(cert));
	json_object_set_new(info, "version", json_integer(cert_version(cert)));
	return info;
}

json_t *
enrollment_cert_json(const struct cert *cert, bool with_pem)
{
	json_t *json = json_pack("{s:o}", "info", cert_info_json(cert));
	CLEAR(buf) pem = BUF_INIT(2 * CERT_TEXT_MAX);

	if (with_pem) {
		cert_put_pem(cert, &pem);
		json_object_set_new(json, "certificate", json_string(buf_text(&pem)));
	}
	return json;
}

static json_t *
certs_json(const struct enrollment *e)
{
	json_t *pair = json_object();

	if (enrollment_has_ca_names(e)) {
		for (int i = 0; i < 2; i++)
			json_object_set_new(pair, slots[i], e->ca_names[i] ? json_string(e->ca_names[i]) : json_null());
		return json_pack("{s:o}", "caReferences", pair);
	}
	for (int i = 0; i < 2; i++)
		json_object_set_new(pair, slots[i], e->certs[i] ? enrollment_cert_json(e->certs[i], false) : json_null());
	return json_pack("{s:o}", e->proof == ENROLLMENT_BY_CA ? "signingCertificates" : "clientCertificates", pair);
}

static json_t *
keys_json(const struct enrollment *e)
{
	json_t *keys = json_object();

	for (int i = 0; i < 2; i++) {
		struct buf text = BUF_INIT(KEY_TEXT_MAX);

		base64_encode(&text, e->keys[i].bytes, e->keys[i].len);
		json_object_set_new(keys, key_names[i], json_string(buf_text(&text)));
		buf_wipe(&text);
	}
	return keys;
}

json_t *
enrollment_attestation_json(const struct enrollment *e, bool with_keys)
{
	static const char *const types[] = { [ENROLLMENT_BY_KEY] = "symmetricKey",
		[ENROLLMENT_BY_CERT] = "x509",
		[ENROLLMENT_BY_CA] = "x509",
		[ENROLLMENT_BY_TPM] = "tpm" };
	json_t *attestation = json_pack("{s:s}", "type", types[e->proof]);

	if (e->proof == ENROLLMENT_BY_KEY && with_keys)
		json_object_set_new(attestation, "symmetricKey", keys_json(e));
	if (e->proof == ENROLLMENT_BY_CERT || e->proof == ENROLLMENT_BY_CA)
		json_object_set_new(attestation, "x509", certs_json(e));
	if (e->proof == ENROLLMENT_BY_TPM)
		json_object_set_new(attestation, "tpm",
			json_pack("{s:s, s:s*}", "endorsementKey", e->endorsement_key, "storageRootKey", e->storage_root_key));
	return attestation;
}

json_t *
enrollment_to_json(const struct enrollment *e)
{
	json_t *json = json_pack("{s:s, s:o, s:s, s:s, s:{s:b, s:b}, s:{s:b}}",
		e->is_group ? "enrollmentGroupId" : "registrationId", e->id, "attestation", enrollment_attestation_json(e, false),
		"provisioningStatus", e->enabled ? "enabled" : "disabled", "etag", e->etag, "reprovisionPolicy",
		"updateHubAssignment", 1, "migrateDeviceData", 1, "capabilities", "iotEdge", 0);

	if (e->device_id)
		json_object_set_new(json, "deviceId", json_string(e->device_id));
	json_object_update(json, e->wishes);
	put_time(json, "createdDateTimeUtc", e->created);
	put_time(json, "lastUpdatedDateTimeUtc", e->updated);
	return json;
}
