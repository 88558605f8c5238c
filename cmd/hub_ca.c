/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub ca and rootedge provisioning certificate: the CAs that a hub lets devices in by, or that enrollments name, in the words of `az iot hub certificate` and
 * `az iot dps certificate`. */
#include "base/mem.h"
#include "base/text.h"
#include "hub.h"
#include "hub_tool.h"
#include "provisioning.h"

struct options {
	struct hub_tool_options tool;
	const char *name, *path, *etag, *kind;
	struct option_list devices;
	bool verified, unverified;
};

#define NAME_ROW HUB_TOOL_ROW("name", 'n', "NAME", "the CA's name at the hub", OPTION_TEXT, name)
#define ETAG_ROW HUB_TOOL_ROW("etag", 'e', "ETAG", "only if it is in this state; any, when not given", OPTION_TEXT, etag)
#define WISH_ROWS                                                                                                                  \
	HUB_TOOL_ROW("path", 'p', "FILE", "its certificate, PEM or DER", OPTION_TEXT, path),                                       \
		HUB_TOOL_ROW("verified", 'v', NULL, "without a proof; needs a policy with all rights", OPTION_FLAG, verified),     \
		HUB_TOOL_ROW("devices", 0, "PATTERN", "speaks for ids like this only (* and ?); may be given often", OPTION_LIST,  \
			devices),                                                                                                  \
		HUB_TOOL_ROW("kind", 0, "KIND", "all, edge (gateways only) or leaf (no gateways)", OPTION_TEXT, kind)

static const struct option_row list_rows[] = { HUB_TOOL_ROWS };
static const struct option_row name_rows[] = { NAME_ROW, HUB_TOOL_ROWS };
static const struct option_row state_rows[] = { NAME_ROW, ETAG_ROW, HUB_TOOL_ROWS };
static const struct option_row create_rows[] = { NAME_ROW, WISH_ROWS, HUB_TOOL_ROWS };
static const struct option_row update_rows[] = { NAME_ROW, ETAG_ROW, WISH_ROWS,
	HUB_TOOL_ROW("unverified", 0, NULL, "it lets nobody in any more until it is verified again", OPTION_FLAG, unverified),
	HUB_TOOL_ROWS };
static const struct option_row verify_rows[] = { NAME_ROW, ETAG_ROW,
	HUB_TOOL_ROW("path", 'p', "FILE", "the verification certificate: CN = code, signed by the CA", OPTION_TEXT, path),
	HUB_TOOL_ROWS };

/* At provisioning a CA speaks for those whose enrollment names it: it has no scope. */
#define CERTIFICATE_ROW HUB_TOOL_ROW("certificate-name", 'n', "NAME", "the CA's name at provisioning", OPTION_TEXT, name)
#define CERTIFICATE_ROWS                                                                                                           \
	HUB_TOOL_ROW("path", 'p', "FILE", "its certificate, PEM or DER", OPTION_TEXT, path),                                       \
		HUB_TOOL_ROW("verified", 'v', NULL, "without a proof; needs a policy with all rights", OPTION_FLAG, verified)

static const struct option_row provisioning_list_rows[] = { PROVISIONING_TOOL_ROWS };
static const struct option_row provisioning_name_rows[] = { CERTIFICATE_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row provisioning_state_rows[] = { CERTIFICATE_ROW, ETAG_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row provisioning_create_rows[] = { CERTIFICATE_ROW, CERTIFICATE_ROWS, PROVISIONING_TOOL_ROWS };
static const struct option_row provisioning_update_rows[] = { CERTIFICATE_ROW, ETAG_ROW, CERTIFICATE_ROWS,
	HUB_TOOL_ROW("unverified", 0, NULL, "it lets nobody register any more until it is verified again", OPTION_FLAG, unverified),
	PROVISIONING_TOOL_ROWS };
static const struct option_row provisioning_verify_rows[] = { CERTIFICATE_ROW, ETAG_ROW,
	HUB_TOOL_ROW("path", 'p', "FILE", "the verification certificate: CN = code, signed by the CA", OPTION_TEXT, path),
	PROVISIONING_TOOL_ROWS };

/* -- Requests ------------------------------------------------------------------------------------------------------------------- */

static char *
ca_path(const struct options *o, const char *rest, struct err *err)
{
	if (!o->name)
		return err_null(err, ERR_INVALID, "the name of the CA is missing (-n)");
	return hub_tool_path("certificates", o->name, NULL, rest);
}

static int
ask(struct hub_session *s, const char *method, const char *path, const char *etag, const json_t *body, json_t **out,
	struct err *err)
{
	OWN_TEXT match = etag ? mem_textf("If-Match: %s", etag) : NULL;
	const char *headers[] = { match, NULL };

	return hub_session_ask(
		s, &(struct hub_request){ .method = method, .path = path, .body = body, .headers = headers }, out, NULL, err);
}

static const char *
etag_of(const struct options *o)
{
	return o->etag ? o->etag : "*";
}

static json_t *
scope_json(const struct options *o)
{
	json_t *scope = json_object(), *list = json_array();

	if (o->kind)
		json_object_set_new(scope, "kind", json_string(o->kind));
	for (size_t i = 0; i < o->devices.n; i++)
		json_array_append_new(list, json_string(o->devices.items[i]));
	if (o->devices.n > 0)
		json_object_set(scope, "devices", list);
	json_decref(list);
	return scope;
}

static json_t *
wish_json(const struct options *o, struct err *err)
{
	OWN_LIB(json_t) properties = json_object();
	json_t *cert = o->path ? hub_tool_cert(o->path, err) : NULL;

	if (o->path && !cert)
		return NULL;
	if (cert)
		json_object_set_new(properties, "certificate", cert);
	if (o->verified || o->unverified)
		json_object_set_new(properties, "isVerified", json_boolean(o->verified));
	if (o->kind || o->devices.n > 0)
		json_object_set_new(properties, "scope", scope_json(o));
	return json_pack("{s:O}", "properties", properties);
}

/* -- Verbs ---------------------------------------------------------------------------------------------------------------------- */

static int
list(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_LIB(json_t) answer = NULL;

	(void)options;
	if (ask(s, "GET", "certificates", NULL, NULL, &answer, err) < 0)
		return -1;
	*out = json_incref(json_object_get(answer, "value"));
	return *out ? 0 : err_set(err, ERR_INVALID, "the answer has no value");
}

static int
show(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = ca_path(options, NULL, err);

	return path ? ask(s, "GET", path, NULL, NULL, out, err) : -1;
}

static int
put(struct hub_session *s, const struct options *o, const char *etag, json_t **out, struct err *err)
{
	OWN_TEXT path = ca_path(o, NULL, err);
	OWN_LIB(json_t) body = path ? wish_json(o, err) : NULL;

	return body ? ask(s, "PUT", path, etag, body, out, err) : -1;
}

static int
create(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;

	return hub_tool_need(o->path, "path", err) < 0 ? -1 : put(s, o, NULL, out, err);
}

static int
update(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	return put(s, options, etag_of(options), out, err);
}

static int delete (struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = ca_path(options, NULL, err);

	return path ? ask(s, "DELETE", path, etag_of(options), NULL, out, err) : -1;
}

static int
code(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = ca_path(options, "generateVerificationCode", err);

	return path ? ask(s, "POST", path, etag_of(options), NULL, out, err) : -1;
}

static int
verify(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = ca_path(o, "verify", err);
	OWN_LIB(json_t) cert = path && hub_tool_need(o->path, "path", err) == 0 ? hub_tool_cert(o->path, err) : NULL;
	OWN_LIB(json_t) body = cert ? json_pack("{s:O}", "certificate", cert) : NULL;

	return body ? ask(s, "POST", path, etag_of(o), body, out, err) : -1;
}

static const struct hub_column columns[] = {
	{ "NAME", "name" },
	{ "SUBJECT", "properties.subject" },
	{ "VERIFIED", "properties.isVerified" },
	{ "EXPIRY", "properties.expiry" },
	{ "KIND", "properties.scope.kind" },
	{ 0 },
};

static const struct hub_verb verbs[] = {
	{ "list", "List the registered CAs.", list_rows, list, columns },
	{ "show", "Show a CA.", name_rows, show, NULL },
	{ "create", "Register a CA: it lets devices in once it is verified.", create_rows, create, NULL },
	{ "update", "Change a CA's certificate or scope; what is not given stays.", update_rows, update, NULL },
	{ "delete", "Delete a CA: its devices are cut off at once.", state_rows, delete, NULL },
	{ "code", "Ask for a verification code: the CN of the certificate that proves.", state_rows, code, NULL },
	{ "verify", "Prove that you hold the CA's key.", verify_rows, verify, NULL },
	{ 0 },
};

int
hub_ca(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "ca",
		.summary = "Register, prove, scope and delete the CAs that devices are let in by.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
	};

	return hub_noun_run(&noun, argc, argv);
}

static const struct hub_column provisioning_columns[] = {
	{ "NAME", "name" },
	{ "SUBJECT", "properties.subject" },
	{ "VERIFIED", "properties.isVerified" },
	{ "EXPIRY", "properties.expiry" },
	{ 0 },
};

static const struct hub_verb provisioning_verbs[] = {
	{ "list", "List the CAs that enrollments can name.", provisioning_list_rows, list, provisioning_columns },
	{ "show", "Show a CA.", provisioning_name_rows, show, NULL },
	{ "create", "Register a CA: enrollments that name it let devices in once it is verified.", provisioning_create_rows, create,
		NULL },
	{ "update", "Change a CA's certificate; what is not given stays.", provisioning_update_rows, update, NULL },
	{ "delete", "Delete a CA.", provisioning_state_rows, delete, NULL },
	{ "generate-verification-code", "Ask for a verification code: the CN of the certificate that proves.",
		provisioning_state_rows, code, NULL },
	{ "verify", "Prove that you hold the CA's key.", provisioning_verify_rows, verify, NULL },
	{ 0 },
};

int
provisioning_certificate(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "certificate",
		.summary = "The CAs that enrollments can name (--ca-name).",
		.verbs = provisioning_verbs,
		.options_size = sizeof(struct options),
		.service = &hub_tool_provisioning,
	};

	return hub_noun_run(&noun, argc, argv);
}
