/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "hub/provisioning/enrollment.h"
#include "hub/provisioning/enrollment_store.h"
#include "hub/provisioning/registration.h"
#include "hub/registry/schema.h"
#include "pki/story.h"
#include "wire/json.h"
#include "wire/tpm_story.h"

TEST("a registration id has letters, digits and -._: and ends with a letter, a digit or a hyphen")
{
	CHECK(enrollment_id_is_valid("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"));
	CHECK(enrollment_id_is_valid("Plant.7:line_3-"));
	CHECK(!enrollment_id_is_valid("ends-with-dot."));
	CHECK(!enrollment_id_is_valid("ends-with-colon:"));
	CHECK(!enrollment_id_is_valid("ends_"));
	CHECK(!enrollment_id_is_valid("a/b"));
	CHECK(!enrollment_id_is_valid("a b"));
	CHECK(!enrollment_id_is_valid("caf\xc3\xa9"));
	CHECK(!enrollment_id_is_valid("a+"));
	CHECK(!enrollment_id_is_valid(""));
	CHECK(!enrollment_id_is_valid(NULL));
}

TEST("a registration id has at most 128 characters")
{
	char id[ENROLLMENT_ID_MAX + 2];

	memset(id, 'a', sizeof(id));
	id[ENROLLMENT_ID_MAX + 1] = '\0';
	CHECK(!enrollment_id_is_valid(id));
	id[ENROLLMENT_ID_MAX] = '\0';
	CHECK(enrollment_id_is_valid(id));
}

TEST("ids that differ in case only are kept under one name")
{
	OWN_TEXT one = enrollment_id_fold("Dev-A:1");
	OWN_TEXT other = enrollment_id_fold("DEV-a:1");

	CHECK_STR(one, "dev-a:1");
	CHECK_STR(other, one);
}

/* -- From JSON and back ------------------------------------------------------------------------------------------------------------ */

#define NOW STORY_NOW

static struct enrollment *
compose(const char *id, bool is_group, json_t *body_take, const struct enrollment *before, struct err *err)
{
	OWN_LIB(json_t) body = body_take;
	struct enrollment_wish wish = { .id = id, .is_group = is_group, .body = body, .before = before, .now = NOW };

	CHECK(body != NULL);
	return enrollment_compose(&wish, err);
}

static struct enrollment *
composed(const char *id, bool is_group, json_t *body_take, const struct enrollment *before)
{
	struct err err = ERR_INIT;
	struct enrollment *e = compose(id, is_group, body_take, before, &err);

	if (!e)
		fail_msg("%s", err.text);
	return e;
}

static void
not_composed(const char *id, bool is_group, json_t *body_take, const char *part)
{
	struct err err = ERR_INIT;
	OWN(enrollment) e = compose(id, is_group, body_take, NULL, &err);

	CHECK(e == NULL);
	CHECK_CONTAINS(err.text, part);
}

static json_t *
cert_body(const char *kind, const struct made *made)
{
	struct buf pem = BUF_INIT(8192);
	json_t *body;

	cert_put_pem(made->cert, &pem);
	body = json_pack("{s:{s:s, s:{s:{s:{s:s}}}}}", "attestation", "type", "x509", "x509", kind, "primary", "certificate",
		buf_text(&pem));
	buf_clear(&pem);
	return body;
}

static struct db *
new_db(const char *name)
{
	OWN_TEXT path = mem_textf("%s/%s", T_TMPDIR, name);
	struct err err = ERR_INIT;
	struct db *db = db_open(path, schema_migrations, schema_n_migrations, &err);

	if (!db)
		fail_msg("%s", err.text);
	return db;
}

TEST("keys that nobody gave are made, stay over an update that sends none, and are never shown by a look")
{
	OWN(enrollment) first = composed("dev1", false, json_pack("{s:{s:s}}", "attestation", "type", "symmetricKey"), NULL);
	OWN_LIB(json_t) seen = enrollment_to_json(first);
	OWN_TEXT text = json_line(seen);
	OWN(enrollment) second = NULL;

	CHECK_INT(first->keys[0].len, 64);
	CHECK(memcmp(first->keys[0].bytes, first->keys[1].bytes, 64) != 0);
	CHECK(strstr(text, "primaryKey") == NULL);
	second = composed("dev1", false, json_incref(seen), first);
	CHECK_MEM(second->keys[0].bytes, first->keys[0].bytes, 64);
	CHECK_MEM(second->keys[1].bytes, first->keys[1].bytes, 64);
	CHECK(strcmp(second->etag, first->etag) != 0);
}

TEST("a certificate is shown by what it says, and stays when an update sends that back")
{
	CLEAR(made) root = story_root("plant CA");
	OWN(enrollment) first = composed("plant", true, cert_body("signingCertificates", &root), NULL);
	OWN_LIB(json_t) seen = enrollment_to_json(first);
	OWN_TEXT text = json_line(seen);
	OWN(enrollment) second = NULL;

	CHECK_CONTAINS(text, "\"subjectName\":\"CN=plant CA\"");
	CHECK_CONTAINS(text, "\"version\":3");
	CHECK(strstr(text, "BEGIN CERTIFICATE") == NULL);
	second = composed("plant", true, json_incref(seen), first);
	CHECK(second->certs[0] != NULL);
	CHECK_MEM(cert_sha256(second->certs[0]), cert_sha256(root.cert), DIGEST_SHA256_LEN);
}

TEST("a group's certificate must be a CA's, an individual one's must not, and a group has no device's certificates")
{
	CLEAR(made) root = story_root("plant CA");
	CLEAR(made) leaf = story_device("dev1", &root);

	not_composed("plant", true, cert_body("signingCertificates", &leaf), "no CA certificate");
	not_composed("dev1", false, cert_body("clientCertificates", &root), "is a CA certificate");
	not_composed("plant", true, cert_body("clientCertificates", &leaf), "no clientCertificates");
}

static json_t *
tpm_body(const char *ek, const char *srk)
{
	return json_pack(
		"{s:{s:s, s:{s:s*, s:s*}}}", "attestation", "type", "tpm", "tpm", "endorsementKey", ek, "storageRootKey", srk);
}

TEST("an enrollment by TPM shows both public keys and keeps its secret until the endorsement key is another one")
{
	OWN(enrollment) first = composed("dev1", false, tpm_body(STORY_EK, STORY_SRK), NULL);
	OWN_LIB(json_t) seen = enrollment_to_json(first);
	OWN(enrollment) second = composed("dev1", false, json_incref(seen), first);
	OWN(enrollment) opened = composed("dev1", false, tpm_body(STORY_EK, NULL), second);
	OWN(enrollment) other = composed("dev1", false, tpm_body(STORY_EK_P256, NULL), opened);
	OWN_TEXT text = json_line(json_object_get(seen, "attestation"));

	CHECK_STR(text, "{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"" STORY_EK "\",\"storageRootKey\":\"" STORY_SRK "\"}}");
	CHECK_STR(second->storage_root_key, STORY_SRK);
	CHECK(opened->storage_root_key == NULL);
	CHECK_INT(first->keys[0].len, 64);
	CHECK_MEM(opened->keys[0].bytes, first->keys[0].bytes, 64);
	CHECK(memcmp(other->keys[0].bytes, first->keys[0].bytes, 64) != 0);
}

TEST("what is no key of a TPM is refused by the name of its field, and a group has no TPM")
{
	not_composed("dev1", false, tpm_body(NULL, STORY_SRK), "endorsementKey");
	not_composed("dev1", false, tpm_body("", NULL), "endorsementKey");
	not_composed("dev1", false, tpm_body(STORY_EK " ", NULL), "endorsementKey");
	not_composed("dev1", false, tpm_body(STORY_EK, "AAAA"), "storageRootKey");
	not_composed("dev1", false, tpm_body(STORY_EK, STORY_EK), "storageRootKey");
	not_composed("plant", true, tpm_body(STORY_EK, NULL), "group");
	not_composed("dev1", false, json_pack("{s:{s:s}}", "attestation", "type", "tpm"), "attestation.tpm");
}

TEST("an enrollment by TPM is found again with its keys, and a registration with the storage root key")
{
	struct db *db = new_db("tpm.sqlite");
	OWN(enrollment) e = composed("dev1", false, tpm_body(STORY_EK, STORY_SRK), NULL);
	OWN(enrollment) found = NULL;
	struct registration r = { .id = e->id, .hub = e->id, .device_id = e->id, .operation = e->id, .etag = e->etag };
	OWN(registration) kept = NULL;
	struct err err = ERR_INIT;

	r.storage_root_key = e->storage_root_key;
	CHECK_OK(enrollment_store_put(db, e, &err), err);
	CHECK_OK(enrollment_store_find(db, false, "dev1", &found, &err), err);
	CHECK_INT(found->proof, ENROLLMENT_BY_TPM);
	CHECK_STR(found->endorsement_key, STORY_EK);
	CHECK_STR(found->storage_root_key, STORY_SRK);
	CHECK_MEM(found->keys[0].bytes, e->keys[0].bytes, 64);
	CHECK_OK(registration_put(db, &r, &err), err);
	CHECK_OK(registration_find(db, "dev1", &kept, &err), err);
	CHECK_STR(kept->storage_root_key, STORY_SRK);
	db_close(db);
}

TEST("what can't be is refused with a sentence that names it")
{
	static const struct {
		const char *body, *part;
	} rows[] = {
		{ "{}", "attestation" },
		{ "{\"attestation\":{\"type\":\"none\"}}", "'none'" },
		{ "{\"attestation\":{\"type\":\"x509\"}}", "clientCertificates" },
		{ "{\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":{\"primaryKey\":\"c2hvcnQ=\"}}}", "primaryKey" },
		{ "{\"registrationId\":\"other\",\"attestation\":{\"type\":\"symmetricKey\"}}", "path" },
		{ "{\"deviceId\":\"a b\",\"attestation\":{\"type\":\"symmetricKey\"}}", "deviceId" },
		{ "{\"provisioningStatus\":\"on\",\"attestation\":{\"type\":\"symmetricKey\"}}", "provisioningStatus" },
		{ "{\"allocationPolicy\":\"nearest\",\"attestation\":{\"type\":\"symmetricKey\"}}", "allocationPolicy" },
		{ "{\"allocationPolicy\":\"custom\",\"attestation\":{\"type\":\"symmetricKey\"}}", "webhookUrl" },
		{ "{\"capabilities\":{\"iotEdge\":1},\"attestation\":{\"type\":\"symmetricKey\"}}", "iotEdge" },
		{ "{\"initialTwin\":[],\"attestation\":{\"type\":\"symmetricKey\"}}", "initialTwin" },
		{ "{\"initialTwin\":{\"tags\":[]},\"attestation\":{\"type\":\"symmetricKey\"}}", "initialTwin" },
		{ "{\"initialTwin\":{\"properties\":7},\"attestation\":{\"type\":\"symmetricKey\"}}", "initialTwin" },
		{ "{\"initialTwin\":{\"properties\":{\"desired\":[]}},\"attestation\":{\"type\":\"symmetricKey\"}}",
			"initialTwin" },
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < COUNT(rows); i++)
		not_composed("dev1", false, json_parse(rows[i].body, strlen(rows[i].body), &err), rows[i].part);
}

TEST("an enrollment is found again by its id in any case, with its keys, certificates and wishes")
{
	struct db *db = new_db("found.sqlite");
	CLEAR(made) root = story_root("plant CA");
	OWN(enrollment) group = composed("Plant", true, cert_body("signingCertificates", &root), NULL);
	OWN(enrollment) one = composed("Dev1", false,
		json_pack("{s:{s:s}, s:s, s:{s:b}}", "attestation", "type", "symmetricKey", "deviceId", "device-one",
			"capabilities", "iotEdge", 1),
		NULL);
	OWN(enrollment) found = NULL;
	OWN(enrollment) found_group = NULL;
	OWN(enrollment) none = NULL;
	struct err err = ERR_INIT;

	CHECK_OK(enrollment_store_put(db, group, &err), err);
	CHECK_OK(enrollment_store_put(db, one, &err), err);
	CHECK_OK(enrollment_store_find(db, false, "dEV1", &found, &err), err);
	CHECK_OK(enrollment_store_find(db, true, "plant", &found_group, &err), err);
	CHECK_OK(enrollment_store_find(db, true, "dev1", &none, &err), err);
	CHECK(none == NULL);
	CHECK_STR(found->id, "Dev1");
	CHECK_STR(found->device_id, "device-one");
	CHECK_MEM(found->keys[1].bytes, one->keys[1].bytes, 64);
	CHECK(json_equal(found->wishes, one->wishes));
	CHECK_STR(found->etag, one->etag);
	CHECK_MEM(cert_sha256(found_group->certs[0]), cert_sha256(root.cert), DIGEST_SHA256_LEN);
	db_close(db);
}

TEST("a registration is kept as it was written, under its id in any case, until it is removed")
{
	struct db *db = new_db("registration.sqlite");
	struct registration r = { .id = (char[]){ "Dev1" },
		.hub = (char[]){ "hub.local" },
		.device_id = (char[]){ "Dev1" },
		.operation = (char[]){ "5.0.x" },
		.etag = (char[]){ "e" },
		.created = 1,
		.updated = 2 };
	OWN(registration) found = NULL;
	OWN(registration) gone = NULL;
	struct err err = ERR_INIT;

	CHECK_OK(registration_put(db, &r, &err), err);
	CHECK_OK(registration_find(db, "DEV1", &found, &err), err);
	CHECK_STR(found->id, "Dev1");
	CHECK(!found->assigned && !found->group_id);
	CHECK_OK(registration_remove(db, "dev1", &err), err);
	CHECK_OK(registration_find(db, "Dev1", &gone, &err), err);
	CHECK(gone == NULL);
	db_close(db);
}

TEST("an enrollment may name CAs that are registered, which an update keeps and a look shows")
{
	OWN_LIB(json_t) body = json_loads(
		"{\"attestation\": {\"type\": \"x509\", \"x509\": {\"caReferences\": {\"primary\": \"plant\"}}}}", 0, NULL);
	struct enrollment_wish wish = { .id = "g", .is_group = true, .body = body, .now = 1 };
	struct err err = ERR_INIT;
	OWN(enrollment) e = enrollment_compose(&wish, &err);
	OWN_LIB(json_t) shown = e ? enrollment_to_json(e) : NULL;
	const json_t *x509 = json_object_get(json_object_get(shown, "attestation"), "x509");
	OWN_LIB(json_t) want = json_loads("{\"caReferences\": {\"primary\": \"plant\", \"secondary\": null}}", 0, NULL);
	struct db *db = new_db("names.sqlite");
	OWN(enrollment) kept = NULL;
	OWN(enrollment) again = NULL;

	CHECK(e != NULL);
	CHECK(e->proof == ENROLLMENT_BY_CA && !e->certs[0] && !e->certs[1]);
	CHECK(json_equal(x509, want));
	CHECK_OK(enrollment_store_put(db, e, &err), err);
	CHECK_OK(enrollment_store_find(db, true, "G", &kept, &err), err);
	CHECK_STR(kept->ca_names[0], "plant");
	CHECK(kept->ca_names[1] == NULL);
	wish.before = kept;
	wish.body = shown;
	again = enrollment_compose(&wish, &err);
	CHECK(again != NULL);
	CHECK_STR(again->ca_names[0], "plant");
	db_close(db);
}

TEST("names of CAs that are none, and more than one kind of certificates, are refused")
{
	static const char *const bad[] = { "{\"caReferences\": {}}", "{\"caReferences\": {\"primary\": \"\"}}",
		"{\"caReferences\": {\"primary\": 7}}", "{\"caReferences\": {\"primary\": \"a b\"}}", "{\"caReferences\": []}",
		"{\"caReferences\": {\"primary\": \"a\"}, \"signingCertificates\": {}}",
		"{\"caReferences\": {\"primary\": \"a\"}, \"clientCertificates\": {}}" };

	for (size_t i = 0; i < COUNT(bad); i++) {
		OWN_TEXT text = mem_textf("{\"attestation\": {\"type\": \"x509\", \"x509\": %s}}", bad[i]);
		OWN_LIB(json_t) body = json_loads(text, 0, NULL);
		struct enrollment_wish wish = { .id = "g", .is_group = true, .body = body, .now = 1 };
		struct err err = ERR_INIT;
		OWN(enrollment) e = enrollment_compose(&wish, &err);

		CHECK(e == NULL && err.kind == ERR_INVALID);
	}
}
