/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub module: modules of a device, in the words of `az iot hub module-identity`. */
#include "base/mem.h"
#include "base/text.h"
#include "hub.h"
#include "hub_tool.h"

struct options {
	struct hub_tool_options tool;
	const char *device_id, *module_id, *auth_method, *primary, *secondary, *etag;
};

#define IDS_ROWS                                                                                                                   \
	HUB_TOOL_ROW("device-id", 'd', "ID", "the device", OPTION_TEXT, device_id),                                                \
		HUB_TOOL_ROW("module-id", 'm', "ID", "the module", OPTION_TEXT, module_id)

#define AUTH_ROWS                                                                                                                  \
	HUB_TOOL_ROW("auth-method", 0, "METHOD", "shared_private_key, x509_thumbprint or x509_ca", OPTION_TEXT, auth_method),      \
		HUB_TOOL_ROW("primary-thumbprint", 0, "HEX", "SHA-256 of the certificate, in any spelling", OPTION_TEXT, primary), \
		HUB_TOOL_ROW("secondary-thumbprint", 0, "HEX", "of the second slot", OPTION_TEXT, secondary)

static const struct option_row create_rows[] = { IDS_ROWS, AUTH_ROWS, HUB_TOOL_ROWS };
static const struct option_row update_rows[] = {
	IDS_ROWS,
	AUTH_ROWS,
	HUB_TOOL_ROW("etag", 'e', "ETAG", "only if the module is still this one", OPTION_TEXT, etag),
	HUB_TOOL_ROWS,
};
static const struct option_row ids_rows[] = { IDS_ROWS, HUB_TOOL_ROWS };
static const struct option_row list_rows[] = {
	HUB_TOOL_ROW("device-id", 'd', "ID", "the device", OPTION_TEXT, device_id),
	HUB_TOOL_ROWS,
};

static char *
module_path(const struct options *o, struct err *err)
{
	if (hub_tool_need(o->device_id, "device-id", err) < 0 || hub_tool_need(o->module_id, "module-id", err) < 0)
		return NULL;
	return hub_tool_path("devices", o->device_id, o->module_id, NULL);
}

static int
create(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = module_path(o, err);
	OWN_LIB(json_t) module = NULL;
	json_t *auth = NULL;

	if (!path || hub_tool_auth(&auth, o->auth_method, o->primary, o->secondary, err) < 0)
		return -1;
	module = json_pack("{s:s, s:s, s:o*}", "deviceId", o->device_id, "moduleId", o->module_id, "authentication", auth);
	return hub_session_request(s, "PUT", path, module, false, out, err);
}

/* Without --etag: whatever it is by now. */
static int
update(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = module_path(o, err);
	OWN_TEXT match = mem_textf("If-Match: %s", o->etag ? o->etag : "*");
	const char *headers[] = { match, NULL };
	OWN_LIB(json_t) module = NULL;
	json_t *auth = NULL;

	if (!path || hub_tool_auth(&auth, o->auth_method, o->primary, o->secondary, err) < 0)
		return -1;
	if (!auth)
		return err_set(
			err, ERR_INVALID, "--auth-method or --primary-thumbprint is missing: nothing else of a module changes");
	module = json_pack("{s:s, s:s, s:o}", "deviceId", o->device_id, "moduleId", o->module_id, "authentication", auth);
	return hub_session_ask(
		s, &(struct hub_request){ .method = "PUT", .path = path, .body = module, .headers = headers }, out, NULL, err);
}

static int
show(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = module_path(options, err);

	return path ? hub_session_request(s, "GET", path, NULL, false, out, err) : -1;
}

static int delete (struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = module_path(options, err);

	return path ? hub_session_request(s, "DELETE", path, NULL, true, out, err) : -1;
}

static int
list(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = hub_tool_path("devices", o->device_id, NULL, "modules");

	if (hub_tool_need(o->device_id, "device-id", err) < 0)
		return -1;
	return hub_session_request(s, "GET", path, NULL, false, out, err);
}

static const struct hub_column columns[] = {
	{ "MODULE", "moduleId" },
	{ "CONNECTION", "connectionState" },
	{ "AUTHENTICATION", "authentication.type" },
	{ "MANAGED BY", "managedBy" },
	{ 0 },
};

static const struct hub_verb verbs[] = {
	{ "create", "Add a module to a device.", create_rows, create, NULL },
	{ "show", "Show a module.", ids_rows, show, NULL },
	{ "list", "List the modules of a device.", list_rows, list, columns },
	{ "update", "Change how a module shows who it is.", update_rows, update, NULL },
	{ "delete", "Remove a module.", ids_rows, delete, NULL },
	{ 0 },
};

int
hub_module(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "module",
		.summary = "Create, show, list, change and delete modules of a device.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
	};

	return hub_noun_run(&noun, argc, argv);
}
