/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub device: devices of a hub over its REST API, in the words of `az iot hub device-identity`. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "hub.h"
#include "hub_session.h"

struct options {
	const char *hub, *ca, *connect_to, *device_id, *auth_method, *primary, *secondary, *parent, *status;
	bool edge_enabled;
};

static const struct option_row rows[] = {
	{ "hub", 'H', "STRING", "connection string of the hub (or the environment's ROOTEDGE_HUB); HostName may have a port",
		OPTION_TEXT, offsetof(struct options, hub), 0, 0 },
	{ "ca", 0, "FILE", "the root that the hub's certificate is trusted by", OPTION_TEXT, offsetof(struct options, ca), 0, 0 },
	{ "connect-to", 0, "ADDRESS", "TCP goes there; the name is still checked", OPTION_TEXT,
		offsetof(struct options, connect_to), 0, 0 },
	{ "device-id", 'd', "ID", "the device", OPTION_TEXT, offsetof(struct options, device_id), 0, 0 },
	{ "auth-method", 0, "METHOD", "shared_private_key, x509_thumbprint or x509_ca", OPTION_TEXT,
		offsetof(struct options, auth_method), 0, 0 },
	{ "primary-thumbprint", 0, "HEX", "SHA-256 of the certificate, in any spelling", OPTION_TEXT,
		offsetof(struct options, primary), 0, 0 },
	{ "secondary-thumbprint", 0, "HEX", "of the second slot", OPTION_TEXT, offsetof(struct options, secondary), 0, 0 },
	{ "edge-enabled", 0, NULL, "the device is a gateway", OPTION_FLAG, offsetof(struct options, edge_enabled), 0, 0 },
	{ "parent", 0, "ID", "the gateway that it stands behind", OPTION_TEXT, offsetof(struct options, parent), 0, 0 },
	{ "status", 0, "STATUS", "enabled or disabled", OPTION_TEXT, offsetof(struct options, status), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge hub device",
	.arguments = "create|show|list|update|delete",
	.summary = "Create, show, list, change and delete devices over the hub's REST API.",
	.rows = rows,
};

/* -- What a device becomes ---------------------------------------------------------------------------------------------------------------- */

static int
put_auth(json_t *device, const struct options *o, struct err *err)
{
	const char *method = o->auth_method ? o->auth_method : o->primary || o->secondary ? "x509_thumbprint" : NULL;

	if (!method)
		return 0;
	if (text_is(method, "shared_private_key"))
		json_object_set_new(device, "authentication",
			json_pack("{s:s, s:{s:s, s:s}}", "type", "sas", "symmetricKey", "primaryKey", "", "secondaryKey", ""));
	else if (text_is(method, "x509_ca"))
		json_object_set_new(device, "authentication", json_pack("{s:s}", "type", "certificateAuthority"));
	else if (text_is(method, "x509_thumbprint"))
		json_object_set_new(device, "authentication",
			json_pack("{s:s, s:{s:s?, s:s?}}", "type", "selfSigned", "x509Thumbprint", "primaryThumbprint", o->primary,
				"secondaryThumbprint", o->secondary));
	else
		return err_set(err, ERR_INVALID, "--auth-method is shared_private_key, x509_thumbprint or x509_ca");
	return 0;
}

/* A child carries the scope of its parent. */
static int
put_parent(struct hub_session *s, json_t *device, const struct options *o, struct err *err)
{
	OWN_TEXT path = o->parent ? hub_device_path(o->parent) : NULL;
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
	json_object_set_new(device, "deviceId", json_string(o->device_id));
	if (o->status)
		json_object_set_new(device, "status", json_string(o->status));
	if (o->edge_enabled)
		json_object_set_new(device, "capabilities", json_pack("{s:b}", "iotEdge", 1));
	if (put_auth(device, o, err) < 0)
		return -1;
	return put_parent(s, device, o, err);
}

/* -- The verbs ------------------------------------------------------------------------------------------------------------------------------- */

static int
verb_create(struct hub_session *s, const struct options *o, const char *path, json_t **out, struct err *err)
{
	OWN_LIB(json_t) device = json_pack("{s:s}", "status", "enabled");

	return put_fields(s, device, o, err) < 0 ? -1 : hub_session_request(s, "PUT", path, device, false, out, err);
}

static int
verb_update(struct hub_session *s, const struct options *o, const char *path, json_t **out, struct err *err)
{
	OWN_LIB(json_t) device = NULL;

	if (hub_session_request(s, "GET", path, NULL, false, &device, err) < 0 || put_fields(s, device, o, err) < 0)
		return -1;
	return hub_session_request(s, "PUT", path, device, true, out, err);
}

static int
verb_show(struct hub_session *s, const struct options *o, const char *path, json_t **out, struct err *err)
{
	(void)o;
	return hub_session_request(s, "GET", path, NULL, false, out, err);
}

static int
verb_delete(struct hub_session *s, const struct options *o, const char *path, json_t **out, struct err *err)
{
	(void)o;
	return hub_session_request(s, "DELETE", path, NULL, true, out, err);
}

static int
verb_list(struct hub_session *s, const struct options *o, const char *path, json_t **out, struct err *err)
{
	(void)o;
	(void)path;
	return hub_session_request(s, "GET", "devices", NULL, false, out, err);
}

struct verb {
	const char *name;
	bool takes_id;
	int (*run)(struct hub_session *s, const struct options *o, const char *path, json_t **out, struct err *err);
};

static const struct verb verbs[] = {
	{ "create", true, verb_create },
	{ "show", true, verb_show },
	{ "update", true, verb_update },
	{ "delete", true, verb_delete },
	{ "list", false, verb_list },
};

static int
open_session(struct hub_session *s, const struct options *o, struct err *err)
{
	const char *text = o->hub ? o->hub : getenv("ROOTEDGE_HUB");

	if (!text)
		return err_set(err, ERR_INVALID, "--hub is missing (rootedge hub connection-string prints it)");
	if (!o->ca)
		return err_set(err, ERR_INVALID, "--ca is missing: the root that the hub's certificate is trusted by");
	return hub_session_open(s, text, o->ca, o->connect_to, err);
}

static int
run_verb(const struct verb *verb, const struct options *o, struct err *err)
{
	OWN_TEXT path = verb->takes_id && o->device_id ? hub_device_path(o->device_id) : NULL;
	OWN_LIB(json_t) answer = NULL;
	CLEAR(hub_session) session = { 0 };

	if (verb->takes_id && !path)
		return err_set(err, ERR_INVALID, "--device-id is missing");
	if (open_session(&session, o, err) < 0 || verb->run(&session, o, path, &answer, err) < 0)
		return -1;
	if (answer) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return 0;
}

int
hub_device(int argc, char **argv)
{
	struct options o = { 0 };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err);

	if (n < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	for (size_t i = 0; n == 1 && i < COUNT(verbs); i++)
		if (text_is(argv[0], verbs[i].name)) {
			if (run_verb(&verbs[i], &o, &err) == 0)
				return 0;
			fprintf(stderr, "rootedge hub device %s: %s\n", argv[0], err.text);
			return 1;
		}
	option_print_help(&usage, stderr);
	return 2;
}
