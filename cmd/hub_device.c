/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub device: devices of a hub over its REST API, in the words of `az iot hub device-identity`. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "diag/verdict.h"
#include "hub.h"
#include "hub_tool.h"

#define WHY_MAX 65536

struct options {
	struct hub_tool_options tool;
	const char *device_id, *auth_method, *primary, *secondary, *parent, *status, *status_reason, *key_type, *module_id;
	int64_t top;
	bool edge_enabled;
};

#define DEVICE_ROW HUB_TOOL_ROW("device-id", 'd', "ID", "the device", OPTION_TEXT, device_id)
#define WISH_ROWS                                                                                                                  \
	HUB_TOOL_ROW("auth-method", 0, "METHOD", "shared_private_key, x509_thumbprint or x509_ca", OPTION_TEXT, auth_method),      \
		HUB_TOOL_ROW("primary-thumbprint", 0, "HEX", "SHA-256 of the certificate, in any spelling", OPTION_TEXT, primary), \
		HUB_TOOL_ROW("secondary-thumbprint", 0, "HEX", "of the second slot", OPTION_TEXT, secondary),                      \
		HUB_TOOL_ROW("edge-enabled", 0, NULL, "the device is a gateway", OPTION_FLAG, edge_enabled),                       \
		HUB_TOOL_ROW("parent", 0, "ID", "the gateway that it stands behind", OPTION_TEXT, parent),                         \
		HUB_TOOL_ROW("status", 0, "STATUS", "enabled or disabled", OPTION_TEXT, status),                                   \
		HUB_TOOL_ROW("status-reason", 0, "TEXT", "why", OPTION_TEXT, status_reason)

static const struct option_row wish_rows[] = { DEVICE_ROW, WISH_ROWS, HUB_TOOL_ROWS };
static const struct option_row device_rows[] = { DEVICE_ROW, HUB_TOOL_ROWS };
static const struct option_row list_rows[] = {
	{ "top", 0, "N", "no more than so many, up to 1000", OPTION_INT, offsetof(struct options, top), 1, 1000 },
	HUB_TOOL_ROWS,
};
static const struct option_row key_rows[] = {
	DEVICE_ROW,
	HUB_TOOL_ROW("key-type", 0, "KEY", "primary, secondary or both (both)", OPTION_TEXT, key_type),
	HUB_TOOL_ROWS,
};

static const struct option_row string_rows[] = {
	DEVICE_ROW,
	HUB_TOOL_ROW("module-id", 'm', "ID", "of its module instead", OPTION_TEXT, module_id),
	HUB_TOOL_ROW("key-type", 0, "KEY", "primary or secondary (primary)", OPTION_TEXT, key_type),
	HUB_TOOL_ROWS,
};

static const struct option_row why_rows[] = {
	DEVICE_ROW,
	HUB_TOOL_ROW("module-id", 'm', "ID", "its module instead", OPTION_TEXT, module_id),
	HUB_TOOL_ROWS,
};

/* -- What a device becomes ---------------------------------------------------------------------------------------------------------------- */

/* A child carries the scope of its parent. */
static int
put_parent(struct hub_session *s, json_t *device, const struct options *o, struct err *err)
{
	OWN_TEXT path = o->parent ? hub_tool_path("devices", o->parent, NULL, NULL) : NULL;
	OWN_LIB(json_t) parent = NULL;
	const char *scope = NULL;

	if (!path)
		return 0;
	if (hub_session_request(s, "GET", path, NULL, false, &parent, err) < 0 ||
		json_find_text(parent, "deviceScope", &scope, err) < 0)
		return err_wrap(err, "the parent");
	if (!scope)
		return err_set(err, ERR_INVALID, "%s is no gateway", o->parent);
	if (json_is_true(json_object_get(json_object_get(device, "capabilities"), "iotEdge")))
		json_object_set_new(device, "parentScopes", json_pack("[s]", scope));
	else
		json_object_set_new(device, "deviceScope", json_string(scope));
	return 0;
}

static int
put_fields(struct hub_session *s, json_t *device, const struct options *o, struct err *err)
{
	json_t *auth = NULL;

	json_object_set_new(device, "deviceId", json_string(o->device_id));
	if (o->status)
		json_object_set_new(device, "status", json_string(o->status));
	if (o->status_reason)
		json_object_set_new(device, "statusReason", json_string(o->status_reason));
	if (o->edge_enabled)
		json_object_set_new(device, "capabilities", json_pack("{s:b}", "iotEdge", 1));
	if (hub_tool_auth(&auth, o->auth_method, o->primary, o->secondary, err) < 0)
		return -1;
	if (auth)
		json_object_set_new(device, "authentication", auth);
	return put_parent(s, device, o, err);
}

/* -- The verbs ------------------------------------------------------------------------------------------------------------------------------- */

static char *
device_path(const struct options *o, struct err *err)
{
	return hub_tool_need(o->device_id, "device-id", err) < 0 ? NULL : hub_tool_path("devices", o->device_id, NULL, NULL);
}

static int
create(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = device_path(o, err);
	OWN_LIB(json_t) device = json_pack("{s:s}", "status", "enabled");

	if (!path || put_fields(s, device, o, err) < 0)
		return -1;
	return hub_session_request(s, "PUT", path, device, false, out, err);
}

static int
update(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = device_path(o, err);
	OWN_LIB(json_t) device = NULL;

	if (!path || hub_session_request(s, "GET", path, NULL, false, &device, err) < 0 || put_fields(s, device, o, err) < 0)
		return -1;
	return hub_session_request(s, "PUT", path, device, true, out, err);
}

static int
show(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = device_path(options, err);

	return path ? hub_session_request(s, "GET", path, NULL, false, out, err) : -1;
}

static int delete (struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = device_path(options, err);

	return path ? hub_session_request(s, "DELETE", path, NULL, true, out, err) : -1;
}

static int
list(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT top = o->top ? mem_textf("top=%lld", (long long)o->top) : NULL;

	return hub_session_ask(s, &(struct hub_request){ .method = "GET", .path = "devices", .query = top }, out, NULL, err);
}

static int
renew_key(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	const char *type = o->key_type ? o->key_type : "both";
	OWN_LIB(json_t) body = NULL;

	if (hub_tool_need(o->device_id, "device-id", err) < 0)
		return -1;
	if (!text_is(type, "primary") && !text_is(type, "secondary") && !text_is(type, "both"))
		return err_set(err, ERR_INVALID, "--key-type is primary, secondary or both");
	body = json_pack("{s:s, s:[{s:s}]}", "policyKey",
		text_is(type, "primary")     ? "primaryKey"
		: text_is(type, "secondary") ? "secondaryKey"
					     : "both",
		"devices", "id", o->device_id);
	return hub_session_request(s, "POST", "devices/keys/regenerate", body, false, out, err);
}

/* With a key, or "x509=true" for whom no key is kept.  A port of our HostName is that of HTTPS and says nothing to a device. */
static int
put_string(struct buf *out, const char *host, const struct options *o, const json_t *record, struct err *err)
{
	const json_t *auth = json_object_get(record, "authentication");
	const char *name = o->key_type && text_is(o->key_type, "secondary") ? "secondaryKey" : "primaryKey";
	const char *type = json_string_value(json_object_get(auth, "type"));
	const char *key = json_string_value(json_object_get(json_object_get(auth, "symmetricKey"), name));

	buf_putf(out, "HostName=%.*s;DeviceId=%s", (int)strcspn(host, ":"), host, o->device_id);
	if (o->module_id)
		buf_putf(out, ";ModuleId=%s", o->module_id);
	if (type && text_is(type, "sas") && key)
		buf_putf(out, ";SharedAccessKey=%s", key);
	else if (type && (text_is(type, "selfSigned") || text_is(type, "certificateAuthority")))
		buf_puts(out, ";x509=true");
	else
		return err_set(err, ERR_MISSING, "it has neither a key nor a certificate to show");
	return 0;
}

static int
show_connection_string(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = hub_tool_path("devices", o->device_id, o->module_id, NULL);
	CLEAR(buf) text = BUF_INIT(4096);
	OWN_LIB(json_t) record = NULL;

	if (hub_tool_need(o->device_id, "device-id", err) < 0)
		return -1;
	if (o->key_type && !text_is(o->key_type, "primary") && !text_is(o->key_type, "secondary"))
		return err_set(err, ERR_INVALID, "--key-type is primary or secondary");
	if (hub_session_request(s, "GET", path, NULL, false, &record, err) < 0 ||
		put_string(&text, s->hub->host, o, record, err) < 0)
		return -1;
	*out = json_pack("{s:s}", "connectionString", buf_text(&text));
	buf_wipe(&text);
	return 0;
}

/* People get the verdict as the doctor prints one. */
static int
why(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = hub_tool_path("devices", o->device_id, o->module_id, "why");
	OWN_LIB(json_t) answer = NULL;
	OWN_TEXT text = NULL;
	OWN(verdict) verdict = NULL;
	CLEAR(buf) page = BUF_INIT(WHY_MAX);

	if (hub_tool_need(o->device_id, "device-id", err) < 0 || hub_session_request(s, "GET", path, NULL, false, &answer, err) < 0)
		return -1;
	if (o->tool.json || !json_is_object(json_object_get(answer, "verdict"))) {
		*out = o->tool.json ? json_incref(answer) : json_string("not refused since the hub was started");
		return 0;
	}
	text = json_line(json_object_get(answer, "verdict"));
	verdict = verdict_from_json(text, err);
	if (!verdict)
		return -1;
	verdict_print(verdict, &page, isatty(STDOUT_FILENO));
	printf("%s\n%s", json_string_value(json_object_get(answer, "refusedTime")), buf_text(&page));
	return 0;
}

static const struct hub_column columns[] = {
	{ "ID", "deviceId" },
	{ "STATUS", "status" },
	{ "CONNECTION", "connectionState" },
	{ "AUTHENTICATION", "authentication.type" },
	{ "EDGE", "capabilities.iotEdge" },
	{ "SCOPE", "deviceScope" },
	{ 0 },
};

static const struct hub_verb verbs[] = {
	{ "create", "Register a device.", wish_rows, create, NULL },
	{ "show", "Show a device.", device_rows, show, NULL },
	{ "list", "List devices.", list_rows, list, columns },
	{ "update", "Change a device; what is not given stays.", wish_rows, update, NULL },
	{ "delete", "Delete a device with its modules.", device_rows, delete, NULL },
	{ "renew-key", "Make new symmetric keys for a device.", key_rows, renew_key, NULL },
	{ "why", "Show why it was last not let in.", why_rows, why, NULL },
	{ "show-connection-string", "Show what a client connects with; it contains a key.", string_rows, show_connection_string,
		NULL },
	{ 0 },
};

int
hub_device(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "device",
		.summary = "Create, show, list, change and delete devices over the hub's REST API.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
	};

	return hub_noun_run(&noun, argc, argv);
}
