/* SPDX-License-Identifier: Apache-2.0 */
/* Device and module records as JSON (hub 4.4): what the registry API shows and takes, and what gateways fetch. */
#include <string.h>

#include "auth/identity.h"
#include "auth/thumbprint.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/json.h"

#define NEVER "0001-01-01T00:00:00"
#define KEY_TEXT_MAX 256
#define TEXT_MAX 512

static const char *const auth_names[] = {
	[IDENTITY_AUTH_NONE] = "none",
	[IDENTITY_AUTH_SAS] = "sas",
	[IDENTITY_AUTH_THUMBPRINT] = "selfSigned",
	[IDENTITY_AUTH_CA] = "certificateAuthority",
};

static json_t *
text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *
key_json(const struct secret *key)
{
	struct buf text = BUF_INIT(KEY_TEXT_MAX);
	json_t *json;

	if (key->len == 0)
		return json_null();
	base64_encode(&text, key->bytes, key->len);
	json = json_string(buf_text(&text));
	buf_wipe(&text);
	return json;
}

static json_t *
authentication_json(const struct identity *i, bool with_keys)
{
	bool sas = with_keys && i->auth == IDENTITY_AUTH_SAS;
	json_t *keys = json_pack("{s:o, s:o}", "primaryKey", sas ? key_json(&i->keys[0]) : json_null(), "secondaryKey",
		sas ? key_json(&i->keys[1]) : json_null());
	json_t *thumbs = json_pack("{s:o, s:o}", "primaryThumbprint", text_or_null(i->thumbprints[0]), "secondaryThumbprint",
		text_or_null(i->thumbprints[1]));

	return json_pack("{s:o, s:o, s:s}", "symmetricKey", keys, "x509Thumbprint", thumbs, "type", auth_names[i->auth]);
}

static void
put_time(json_t *json, const char *key, int64_t wall)
{
	char text[CLOCK_TEXT_LEN];

	json_object_set_new(json, key, json_string(wall > 0 ? clock_text(wall, text) : NEVER));
}

json_t *
identity_to_json(const struct identity *i, bool connected, bool with_keys)
{
	json_t *json = json_object(), *parents = json_array();

	json_object_set_new(json, "deviceId", json_string(i->device_id));
	if (i->module_id) {
		json_object_set_new(json, "moduleId", json_string(i->module_id));
		json_object_set_new(json, "managedBy", text_or_null(i->managed_by));
	}
	json_object_set_new(json, "generationId", text_or_null(i->generation_id));
	json_object_set_new(json, "etag", text_or_null(i->etag));
	json_object_set_new(json, "connectionState", json_string(connected ? "Connected" : "Disconnected"));
	put_time(json, "connectionStateUpdatedTime", 0);
	put_time(json, "lastActivityTime", 0);
	json_object_set_new(json, "cloudToDeviceMessageCount", json_integer(0));
	json_object_set_new(json, "authentication", authentication_json(i, with_keys));
	if (i->module_id) {
		json_decref(parents);
		return json;
	}
	json_object_set_new(json, "status", json_string(i->enabled ? "enabled" : "disabled"));
	json_object_set_new(json, "statusReason", text_or_null(i->status_reason));
	put_time(json, "statusUpdatedTime", i->status_updated);
	json_object_set_new(json, "capabilities", json_pack("{s:b}", "iotEdge", i->is_edge));
	if (i->scope)
		json_object_set_new(json, "deviceScope", json_string(i->scope));
	for (size_t p = 0; p < i->n_parents; p++)
		json_array_append_new(parents, json_string(i->parents[p]));
	json_object_set_new(json, "parentScopes", parents);
	return json;
}

/* -- Reading --------------------------------------------------------------------------------------------------------------- */

static int
take_key(struct secret *key, const json_t *keys, const char *name, struct err *err)
{
	struct buf bytes = BUF_INIT(SECRET_MAX);
	const char *text;
	int status = 0;

	if (json_find_text(keys, name, &text, err) < 0)
		return -1;
	if (!text || !*text)
		return 0; /* "make one" */
	if (!base64_decode(&bytes, text, strlen(text), BASE64_LAX) || bytes.len < 16 || bytes.len > 64)
		status = err_set(err, ERR_INVALID, "%s is not the base64 of 16 to 64 bytes", name);
	else
		secret_set(key, bytes.data, bytes.len);
	buf_wipe(&bytes);
	return status;
}

static int
take_thumbprint(char **out, const json_t *thumbs, const char *name, struct err *err)
{
	const char *text;

	if (json_find_text(thumbs, name, &text, err) < 0)
		return -1;
	if (!text || !*text)
		return 0;
	*out = thumbprint_normalise(text);
	return *out ? 0 : err_set(err, ERR_INVALID, "%s is not a SHA-256 or SHA-1 thumbprint (64 or 40 hex digits)", name);
}

static int
take_auth_type(struct identity *i, const json_t *auth, struct err *err)
{
	const char *type;

	if (json_find_text(auth, "type", &type, err) < 0)
		return -1;
	i->auth = i->thumbprints[0] || i->thumbprints[1] ? IDENTITY_AUTH_THUMBPRINT : IDENTITY_AUTH_SAS;
	for (size_t t = 0; type && t < COUNT(auth_names); t++)
		if (text_is_nocase(type, auth_names[t])) {
			i->auth = (enum identity_auth)t;
			return 0;
		}
	return type && *type ? err_set(err, ERR_INVALID,
				       "authentication.type '%.40s' is none of sas, selfSigned, certificateAuthority, none", type)
			     : 0;
}

static int
take_authentication(struct identity *i, const json_t *json, struct err *err)
{
	json_t *auth, *keys, *thumbs;

	if (json_find_object(json, "authentication", &auth, err) < 0)
		return -1;
	if (!auth) {
		i->auth = IDENTITY_AUTH_SAS;
		return 0;
	}
	if (json_find_object(auth, "symmetricKey", &keys, err) < 0 || json_find_object(auth, "x509Thumbprint", &thumbs, err) < 0)
		return -1;
	if (keys && (take_key(&i->keys[0], keys, "primaryKey", err) < 0 || take_key(&i->keys[1], keys, "secondaryKey", err) < 0))
		return -1;
	if (thumbs && (take_thumbprint(&i->thumbprints[0], thumbs, "primaryThumbprint", err) < 0 ||
			      take_thumbprint(&i->thumbprints[1], thumbs, "secondaryThumbprint", err) < 0))
		return -1;
	return take_auth_type(i, auth, err);
}

static int
take_texts(struct identity *i, const json_t *json, struct err *err)
{
	struct {
		const char *name;
		char **out;
	} rows[] = {
		{ "generationId", &i->generation_id },
		{ "etag", &i->etag },
		{ "deviceScope", &i->scope },
		{ "statusReason", &i->status_reason },
		{ "managedBy", &i->managed_by },
	};

	for (size_t r = 0; r < COUNT(rows); r++) {
		const char *text;

		if (json_find_text(json, rows[r].name, &text, err) < 0)
			return -1;
		if (text && strlen(text) > TEXT_MAX)
			return err_set(err, ERR_LIMIT, "%s is longer than %d bytes", rows[r].name, TEXT_MAX);
		if (text && *text)
			*rows[r].out = mem_text(text);
	}
	return 0;
}

static int
take_status(struct identity *i, const json_t *json, struct err *err)
{
	const char *status;
	json_t *capabilities;

	if (json_find_text(json, "status", &status, err) < 0 || json_find_object(json, "capabilities", &capabilities, err) < 0)
		return -1;
	if (status && !text_is_nocase(status, "enabled") && !text_is_nocase(status, "disabled"))
		return err_set(err, ERR_INVALID, "status is enabled or disabled, not '%.40s'", status);
	i->enabled = !status || text_is_nocase(status, "enabled");
	return capabilities ? json_find_bool(capabilities, "iotEdge", &i->is_edge, err) : 0;
}

static int
take_parents(struct identity *i, const json_t *json, struct err *err)
{
	json_t *parents, *item;
	size_t at;

	if (json_find_array(json, "parentScopes", &parents, err) < 0)
		return -1;
	if (parents && json_array_size(parents) > IDENTITY_PARENTS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d parentScopes", IDENTITY_PARENTS_MAX);
	json_array_foreach(parents, at, item) {
		if (!json_is_string(item) || json_string_length(item) > TEXT_MAX)
			return err_set(err, ERR_INVALID, "parentScopes is not a list of strings of at most %d bytes", TEXT_MAX);
		i->parents[i->n_parents++] = mem_text(json_string_value(item));
	}
	return 0;
}

struct identity *
identity_from_json(const json_t *json, struct err *err)
{
	OWN(identity) i = NULL;
	const char *device, *module;

	if (json_get_text(json, "deviceId", &device, err) < 0 || json_find_text(json, "moduleId", &module, err) < 0)
		return NULL;
	if (!identity_id_is_valid(device) || (module && *module && !identity_id_is_valid(module)))
		return err_null(err, ERR_INVALID,
			"deviceId and moduleId have 1 to %d characters: ASCII letters, digits and -:.+%%_#*?!(),=@;$'",
			IDENTITY_ID_MAX);
	i = identity_new(device, module && *module ? module : NULL);
	if (take_texts(i, json, err) < 0 || take_status(i, json, err) < 0 || take_parents(i, json, err) < 0 ||
		take_authentication(i, json, err) < 0)
		return NULL;
	return GIVE(i);
}
