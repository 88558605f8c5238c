/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge provisioning enrollment and enrollment-group, in the words of `az iot dps enrollment` and `az iot dps enrollment-group`.  An update reads what is there, changes what was
 * given and sends it back, only if nobody else changed it meanwhile. */
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub_tool.h"
#include "provisioning.h"
#include "wire/codec.h"

#define KEY_MAX 256

struct options {
	struct hub_tool_options tool;
	const char *id, *attestation_type, *certs[2], *ca_names[2], *keys[2], *endorsement_key, *storage_root_key, *device_id,
		*device_information, *tags, *properties, *allocation_policy, *webhook_url, *api_version, *host, *reprovision_policy,
		*status, *etag, *edge_enabled, *registration_id, *key;
	struct option_list hubs;
	int64_t top;
	bool show_keys, remove[2];
};

#define ID_ROW HUB_TOOL_ROW("enrollment-id", 'e', "ID", "the enrollment: the id that the device registers with", OPTION_TEXT, id)
#define GROUP_ROW HUB_TOOL_ROW("group-id", 'g', "ID", "the enrollment group", OPTION_TEXT, id)
#define ETAG_ROW HUB_TOOL_ROW("etag", 0, "ETAG", "only if it is in this state", OPTION_TEXT, etag)
#define KEYS_ROW HUB_TOOL_ROW("show-keys", 0, NULL, "with its keys", OPTION_FLAG, show_keys)
#define TOP_ROW                                                                                                                    \
	{                                                                                                                          \
		"top", 0, "N", "no more than so many", OPTION_INT, offsetof(struct options, top), 1, 1000000                       \
	}
#define KEY_ROWS                                                                                                                   \
	HUB_TOOL_ROW("primary-key", 0, "KEY", "base64; made when not given", OPTION_TEXT, keys[0]),                                \
		HUB_TOOL_ROW("secondary-key", 0, "KEY", "the same for the other one", OPTION_TEXT, keys[1])
#define DEVICE_ROWS                                                                                                                \
	HUB_TOOL_ROW("endorsement-key", 0, "KEY", "of its TPM, base64", OPTION_TEXT, endorsement_key),                             \
		HUB_TOOL_ROW("storage-root-key", 0, "KEY", "the only one that it may have", OPTION_TEXT, storage_root_key),        \
		HUB_TOOL_ROW("device-id", 'd', "ID", "of the device in the hub (the enrollment's)", OPTION_TEXT, device_id),       \
		HUB_TOOL_ROW("device-information", 0, "JSON", "what is told of it", OPTION_TEXT, device_information)
#define WISH_ROWS                                                                                                                  \
	HUB_TOOL_ROW(                                                                                                              \
		"attestation-type", 0, "TYPE", "symmetricKey, x509 or tpm (by what is given)", OPTION_TEXT, attestation_type),     \
		HUB_TOOL_ROW("certificate-path", 0, "FILE", "PEM or DER: the device's own, or for a group that of its CA",         \
			OPTION_TEXT, certs[0]),                                                                                    \
		HUB_TOOL_ROW("ca-name", 0, "NAME", "of a CA that provisioning knows, in the place of a file", OPTION_TEXT,         \
			ca_names[0]),                                                                                              \
		HUB_TOOL_ROW("secondary-ca-name", 0, "NAME", "of another one that is as good", OPTION_TEXT, ca_names[1]),          \
		HUB_TOOL_ROW("secondary-certificate-path", 0, "FILE", "another one that is as good", OPTION_TEXT, certs[1]),       \
		KEY_ROWS, HUB_TOOL_ROW("edge-enabled", 0, "BOOL", "true: devices are gateways", OPTION_TEXT, edge_enabled),        \
		HUB_TOOL_ROW("initial-twin-tags", 0, "JSON", "or @FILE", OPTION_TEXT, tags),                                       \
		HUB_TOOL_ROW("initial-twin-properties", 0, "JSON", "desired ones, or @FILE", OPTION_TEXT, properties),             \
		HUB_TOOL_ROW("allocation-policy", 0, "POLICY", "hashed, weighted, geolatency, static or custom: which hub",        \
			OPTION_TEXT, allocation_policy),                                                                           \
		HUB_TOOL_ROW("iot-hubs", 0, "HOST",                                                                                \
			"may be assigned to these hubs: given often, or \"HOST HOST\" (all that are linked)", OPTION_LIST, hubs),  \
		HUB_TOOL_ROW("iot-hub-host-name", 0, "HOST", "to this one only", OPTION_TEXT, host),                               \
		HUB_TOOL_ROW("webhook-url", 0, "URL", "of custom allocation", OPTION_TEXT, webhook_url),                           \
		HUB_TOOL_ROW("api-version", 0, "TEXT", "that is sent to it", OPTION_TEXT, api_version),                            \
		HUB_TOOL_ROW("reprovision-policy", 0, "POLICY", "reprovisionandmigratedata, reprovisionandresetdata or never",     \
			OPTION_TEXT, reprovision_policy),                                                                          \
		HUB_TOOL_ROW("provisioning-status", 0, "STATUS", "enabled or disabled", OPTION_TEXT, status)
#define REMOVE_ROWS                                                                                                                \
	HUB_TOOL_ROW("remove-certificate", 0, NULL, "the first one", OPTION_FLAG, remove[0]),                                      \
		HUB_TOOL_ROW("remove-secondary-certificate", 0, NULL, "the other one", OPTION_FLAG, remove[1])

static const struct option_row create_rows[] = { ID_ROW, DEVICE_ROWS, WISH_ROWS, PROVISIONING_TOOL_ROWS };
static const struct option_row update_rows[] = { ID_ROW, DEVICE_ROWS, WISH_ROWS, REMOVE_ROWS, ETAG_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row show_rows[] = { ID_ROW, KEYS_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row delete_rows[] = { ID_ROW, ETAG_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row list_rows[] = { TOP_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row group_create_rows[] = { GROUP_ROW, WISH_ROWS, PROVISIONING_TOOL_ROWS };
static const struct option_row group_update_rows[] = { GROUP_ROW, WISH_ROWS, REMOVE_ROWS, ETAG_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row group_show_rows[] = { GROUP_ROW, KEYS_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row group_delete_rows[] = { GROUP_ROW, ETAG_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row derive_rows[] = { GROUP_ROW,
	HUB_TOOL_ROW("registration-id", 'r', "ID", "of the device, as it will write it", OPTION_TEXT, registration_id),
	HUB_TOOL_ROW("key", 0, "KEY", "the group's, base64: then nobody is asked for it", OPTION_TEXT, key),
	PROVISIONING_TOOL_ROWS };

/* Which of both nouns. */
struct kind {
	const char *path, *query, *id_option, *certs;
};
static const struct kind individual = { "enrollments", "enrollments/query", "enrollment-id", "clientCertificates" };
static const struct kind group = { "enrollmentGroups", "enrollmentGroups/query", "group-id", "signingCertificates" };

/* -- What devices have to show ------------------------------------------------------------------------------------------------- */

/* The object of this name in another one, made where there is none. */
static json_t *
member(json_t *object, const char *name)
{
	json_t *there = json_object_get(object, name);

	if (!json_is_object(there)) {
		there = json_object();
		json_object_set_new(object, name, there);
	}
	return there;
}

/* By certificates or by the names of CAs that provisioning knows; what was there of another kind makes room. */
static json_t *
cert_pair(json_t *attestation, const struct kind *kind, const struct options *o)
{
	const char *name = o->ca_names[0] || o->ca_names[1] ? "caReferences" : kind->certs;
	json_t *x509 = member(attestation, "x509");

	if (!json_object_get(x509, name))
		json_object_clear(x509);
	return member(x509, name);
}

static int
put_cert(json_t *pair, const char *slot, const struct options *o, int i, struct err *err)
{
	json_t *cert = o->certs[i] ? hub_tool_cert(o->certs[i], err) : NULL;

	if (o->certs[i] && !cert)
		return -1;
	if (cert)
		json_object_set_new(pair, slot, json_pack("{s:o}", "certificate", cert));
	else if (o->ca_names[i])
		json_object_set_new(pair, slot, json_string(o->ca_names[i]));
	else if (o->remove[i])
		json_object_set_new(pair, slot, json_null());
	return 0;
}

static bool
has_certs(const struct options *o)
{
	return o->certs[0] || o->certs[1] || o->ca_names[0] || o->ca_names[1];
}

static int
put_certs(json_t *attestation, const struct kind *kind, const struct options *o, struct err *err)
{
	json_t *pair;

	if ((o->certs[0] || o->certs[1]) && (o->ca_names[0] || o->ca_names[1]))
		return err_set(err, ERR_INVALID, "certificates are given as files or by the names of CAs, not both");
	if (!has_certs(o) && !o->remove[0] && !o->remove[1])
		return 0;
	pair = cert_pair(attestation, kind, o);
	return put_cert(pair, "primary", o, 0, err) < 0 || put_cert(pair, "secondary", o, 1, err) < 0 ? -1 : 0;
}

static void
put_keys(json_t *attestation, const struct options *o)
{
	static const char *const names[2] = { "primaryKey", "secondaryKey" };
	json_t *keys = member(attestation, "symmetricKey");

	for (int i = 0; i < 2; i++)
		if (o->keys[i])
			json_object_set_new(keys, names[i], json_string(o->keys[i]));
}

static void
put_text(json_t *object, const char *name, const char *text)
{
	if (text)
		json_object_set_new(object, name, json_string(text));
}

/* What was said, or what follows from what was given; NULL: nothing was. */
static const char *
attestation_type(const struct options *o)
{
	static const char *const types[] = { "symmetricKey", "x509", "tpm" };

	for (size_t i = 0; o->attestation_type && i < COUNT(types); i++)
		if (text_is_nocase(o->attestation_type, types[i]))
			return types[i];
	if (o->attestation_type)
		return o->attestation_type; /* the service says what it thinks of it */
	if (has_certs(o))
		return "x509";
	if (o->endorsement_key)
		return "tpm";
	return o->keys[0] || o->keys[1] ? "symmetricKey" : NULL;
}

static int
put_attestation(json_t *body, const struct kind *kind, const struct options *o, struct err *err)
{
	json_t *attestation = member(body, "attestation");
	const char *wanted = attestation_type(o), *there = json_string_value(json_object_get(attestation, "type"));

	if (!wanted)
		wanted = there ? there : "symmetricKey";
	if (!text_is(wanted, there)) {
		json_object_clear(attestation);
		json_object_set_new(attestation, "type", json_string(wanted));
	}
	if (text_is(wanted, "symmetricKey"))
		put_keys(attestation, o);
	if (text_is(wanted, "x509"))
		return put_certs(attestation, kind, o, err);
	if (text_is(wanted, "tpm")) {
		put_text(member(attestation, "tpm"), "endorsementKey", o->endorsement_key);
		put_text(member(attestation, "tpm"), "storageRootKey", o->storage_root_key);
	}
	return 0;
}

/* -- What becomes of them ------------------------------------------------------------------------------------------------------ */

static int
put_json(json_t *object, const char *name, const char *text, const char *option, struct err *err)
{
	json_t *value = text ? hub_tool_json(text, option, err) : NULL;

	if (!text)
		return 0;
	return value ? json_object_set_new(object, name, value) : -1;
}

static int
put_twin(json_t *body, const struct options *o, struct err *err)
{
	json_t *twin;

	if (!o->tags && !o->properties)
		return 0;
	twin = member(body, "initialTwin");
	if (put_json(twin, "tags", o->tags, "initial-twin-tags", err) < 0)
		return -1;
	return o->properties ? put_json(member(twin, "properties"), "desired", o->properties, "initial-twin-properties", err) : 0;
}

static int
put_reprovision(json_t *body, const char *policy, struct err *err)
{
	static const struct {
		const char *name;
		int moves, keeps;
	} rows[] = { { "reprovisionandmigratedata", 1, 1 }, { "reprovisionandresetdata", 1, 0 }, { "never", 0, 0 } };

	for (size_t i = 0; i < COUNT(rows); i++)
		if (text_is_nocase(policy, rows[i].name))
			return json_object_set_new(body, "reprovisionPolicy",
				json_pack("{s:b, s:b}", "updateHubAssignment", rows[i].moves, "migrateDeviceData", rows[i].keeps));
	return err_set(err, ERR_INVALID, "--reprovision-policy is reprovisionandmigratedata, reprovisionandresetdata or never");
}

/* Given often, or in one with blanks between them, as az takes them. */
static json_t *
hubs_json(const struct option_list *given)
{
	json_t *hubs = json_array();

	for (size_t i = 0; i < given->n; i++)
		for (const char *at = given->items[i]; *(at += strspn(at, ", "));) {
			size_t len = strcspn(at, ", ");

			json_array_append_new(hubs, json_stringn(at, len));
			at += len;
		}
	return hubs;
}

static void
put_hubs(json_t *body, const struct options *o)
{
	json_t *custom;

	if (o->hubs.n > 0)
		json_object_set_new(body, "iotHubs", hubs_json(&o->hubs));
	put_text(body, "iotHubHostName", o->host);
	put_text(
		body, "allocationPolicy", text_is_nocase(o->allocation_policy, "geolatency") ? "geoLatency" : o->allocation_policy);
	if (!o->webhook_url && !o->api_version)
		return;
	custom = member(body, "customAllocationDefinition");
	put_text(custom, "webhookUrl", o->webhook_url);
	put_text(custom, "apiVersion", o->api_version);
}

static int
put_wishes(json_t *body, const struct kind *kind, const struct options *o, struct err *err)
{
	if (o->edge_enabled && !text_is(o->edge_enabled, "true") && !text_is(o->edge_enabled, "false"))
		return err_set(err, ERR_INVALID, "--edge-enabled is true or false");
	if (put_attestation(body, kind, o, err) < 0 || put_twin(body, o, err) < 0 ||
		(o->reprovision_policy && put_reprovision(body, o->reprovision_policy, err) < 0) ||
		put_json(body, "optionalDeviceInformation", o->device_information, "device-information", err) < 0)
		return -1;
	if (o->edge_enabled)
		json_object_set_new(member(body, "capabilities"), "iotEdge", json_boolean(text_is(o->edge_enabled, "true")));
	put_text(body, "deviceId", o->device_id);
	put_text(body, "provisioningStatus", o->status);
	put_hubs(body, o);
	return 0;
}

/* -- The verbs ----------------------------------------------------------------------------------------------------------------- */

static char *
enrollment_path(const struct kind *kind, const struct options *o, const char *rest, struct err *err)
{
	return hub_tool_need(o->id, kind->id_option, err) < 0 ? NULL : hub_tool_path(kind->path, o->id, NULL, rest);
}

static int
ask_if(struct hub_session *s, const char *method, const char *path, const char *etag, const json_t *body, json_t **out,
	struct err *err)
{
	OWN_TEXT match = mem_textf("If-Match: %s", etag);
	const char *headers[] = { match, NULL };

	return hub_session_ask(
		s, &(struct hub_request){ .method = method, .path = path, .body = body, .headers = headers }, out, NULL, err);
}

static int
add_keys(struct hub_session *s, const struct kind *kind, const struct options *o, json_t *enrollment, struct err *err)
{
	OWN_TEXT path = enrollment_path(kind, o, "attestationmechanism", err);
	json_t *attestation = NULL;

	if (!path || hub_session_request(s, "POST", path, NULL, false, &attestation, err) < 0)
		return -1;
	return attestation ? json_object_set_new(enrollment, "attestation", attestation) : 0;
}

/* Keys that were made are told at once, to whom may see them. */
static int
create(struct hub_session *s, const struct kind *kind, const struct options *o, json_t **out, struct err *err)
{
	OWN_TEXT path = enrollment_path(kind, o, NULL, err);
	OWN_LIB(json_t) body = json_pack("{s:s?}", kind == &group ? "enrollmentGroupId" : "registrationId", o->id);
	struct err unseen = ERR_INIT;

	if (!path || put_wishes(body, kind, o, err) < 0 || hub_session_request(s, "PUT", path, body, false, out, err) < 0)
		return -1;
	if (text_is(json_string_value(json_object_get(json_object_get(*out, "attestation"), "type")), "symmetricKey"))
		(void)add_keys(s, kind, o, *out, &unseen);
	return 0;
}

static int
update(struct hub_session *s, const struct kind *kind, const struct options *o, json_t **out, struct err *err)
{
	OWN_TEXT path = enrollment_path(kind, o, NULL, err);
	OWN_LIB(json_t) body = NULL;
	const char *etag;

	if (!path || hub_session_request(s, "GET", path, NULL, false, &body, err) < 0 || put_wishes(body, kind, o, err) < 0)
		return -1;
	etag = o->etag ? o->etag : json_string_value(json_object_get(body, "etag"));
	return ask_if(s, "PUT", path, etag ? etag : "*", body, out, err);
}

static int
show(struct hub_session *s, const struct kind *kind, const struct options *o, json_t **out, struct err *err)
{
	OWN_TEXT path = enrollment_path(kind, o, NULL, err);

	if (!path || hub_session_request(s, "GET", path, NULL, false, out, err) < 0)
		return -1;
	return o->show_keys ? add_keys(s, kind, o, *out, err) : 0;
}

static int
list(struct hub_session *s, const struct kind *kind, const struct options *o, json_t **out, struct err *err)
{
	OWN_LIB(json_t) body = json_pack("{s:s}", "query", "SELECT *");

	return hub_tool_pages(s, &(struct hub_request){ .method = "POST", .path = kind->query, .body = body }, o->top, out, err);
}

static int
take_away(struct hub_session *s, const struct kind *kind, const struct options *o, json_t **out, struct err *err)
{
	OWN_TEXT path = enrollment_path(kind, o, NULL, err);

	return path ? ask_if(s, "DELETE", path, o->etag ? o->etag : "*", NULL, out, err) : -1;
}

/* The verb for both nouns, as the table wants it. */
#define BOTH(verb)                                                                                                                 \
	static int individual_##verb(struct hub_session *s, const void *options, json_t **out, struct err *err)                    \
	{                                                                                                                          \
		return verb(s, &individual, options, out, err);                                                                    \
	}                                                                                                                          \
	static int group_##verb(struct hub_session *s, const void *options, json_t **out, struct err *err)                         \
	{                                                                                                                          \
		return verb(s, &group, options, out, err);                                                                         \
	}
BOTH(create)
BOTH(update)
BOTH(show)
BOTH(list)
BOTH(take_away)

/* -- The key of a device under a group's --------------------------------------------------------------------------------------- */

static bool
has_key(const void *options)
{
	return ((const struct options *)options)->key != NULL;
}

static json_t *
derive(const char *key, const char *registration_id, struct err *err)
{
	CLEAR(buf) bytes = BUF_INIT(KEY_MAX);
	CLEAR(buf) text = BUF_INIT(KEY_MAX);
	uint8_t derived[DIGEST_SHA256_LEN];
	json_t *json;

	if (!base64_decode(&bytes, key, strlen(key), BASE64_STRICT) || bytes.len == 0)
		return err_null(err, ERR_INVALID, "the group's key is not base64");
	digest_hmac_sha256(bytes.data, bytes.len, registration_id, strlen(registration_id), derived);
	base64_encode(&text, derived, sizeof(derived));
	json = json_string(buf_text(&text));
	mem_wipe(derived, sizeof(derived));
	buf_wipe(&bytes);
	buf_wipe(&text);
	return json;
}

static int
compute_device_key(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_LIB(json_t) enrollment = json_object();
	const char *key = o->key;

	if (hub_tool_need(o->registration_id, "registration-id", err) < 0 || (!key && add_keys(s, &group, o, enrollment, err) < 0))
		return -1;
	if (!key)
		key = json_string_value(
			json_object_get(json_object_get(json_object_get(enrollment, "attestation"), "symmetricKey"), "primaryKey"));
	if (!key)
		return err_set(err, ERR_INVALID, "the group %s has no key: its devices show certificates", o->id);
	*out = derive(key, o->registration_id, err);
	return *out ? 0 : -1;
}

/* -- Nouns --------------------------------------------------------------------------------------------------------------------- */

static const struct hub_column columns[] = {
	{ "ID", "registrationId" },
	{ "STATUS", "provisioningStatus" },
	{ "ATTESTATION", "attestation.type" },
	{ "DEVICE", "deviceId" },
	{ "EDGE", "capabilities.iotEdge" },
	{ "ALLOCATION", "allocationPolicy" },
	{ 0 },
};

static const struct hub_column group_columns[] = {
	{ "GROUP", "enrollmentGroupId" },
	{ "STATUS", "provisioningStatus" },
	{ "ATTESTATION", "attestation.type" },
	{ "EDGE", "capabilities.iotEdge" },
	{ "ALLOCATION", "allocationPolicy" },
	{ 0 },
};

static const struct hub_verb verbs[] = {
	{ "create", "Enroll a device: by a key, its certificate or its TPM.", create_rows, individual_create, NULL },
	{ "show", "Show an enrollment.", show_rows, individual_show, NULL },
	{ "list", "List the enrollments.", list_rows, individual_list, columns },
	{ "update", "Change an enrollment; what is not given stays.", update_rows, individual_update, NULL },
	{ "delete", "Delete an enrollment; the device in the hub stays.", delete_rows, individual_take_away, NULL },
	{ 0 },
};

static const struct hub_verb group_verbs[] = {
	{ "create", "Enroll all devices that a key or a CA vouches for.", group_create_rows, group_create, NULL },
	{ "show", "Show a group.", group_show_rows, group_show, NULL },
	{ "list", "List the groups.", list_rows, group_list, group_columns },
	{ "update", "Change a group; what is not given stays.", group_update_rows, group_update, NULL },
	{ "delete", "Delete a group; devices in the hubs stay.", group_delete_rows, group_take_away, NULL },
	{ "compute-device-key", "Print the key of a device under the group's key.", derive_rows, compute_device_key, NULL },
	{ 0 },
};

int
provisioning_enrollment(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "enrollment",
		.summary = "Devices that may register, one by one.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
		.service = &hub_tool_provisioning,
	};

	return hub_noun_run(&noun, argc, argv);
}

int
provisioning_enrollment_group(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "enrollment-group",
		.summary = "Devices that may register because a key or a CA vouches for them.",
		.verbs = group_verbs,
		.options_size = sizeof(struct options),
		.service = &hub_tool_provisioning,
		.is_local = has_key,
	};

	return hub_noun_run(&noun, argc, argv);
}
