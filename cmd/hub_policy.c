/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub policy and rootedge provisioning policy: shared access policies, in the words of `az iot hub policy` and `az iot dps policy`.  The answers hold keys. */
#include "base/mem.h"
#include "base/text.h"
#include "hub.h"
#include "hub_tool.h"
#include "provisioning.h"

struct options {
	struct hub_tool_options tool;
	const char *name, *permissions, *key;
	bool replace;
};

#define NAME_ROW HUB_TOOL_ROW("name", 'n', "NAME", "the policy", OPTION_TEXT, name)

static const struct option_row list_rows[] = { HUB_TOOL_ROWS };
static const struct option_row name_rows[] = { NAME_ROW, HUB_TOOL_ROWS };
static const struct option_row create_rows[] = { NAME_ROW,
	HUB_TOOL_ROW("permissions", 0, "RIGHTS", "some of RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect", OPTION_TEXT,
		permissions),
	HUB_TOOL_ROW("replace", 0, NULL, "give other rights to a policy that exists; it keeps its keys", OPTION_FLAG, replace),
	HUB_TOOL_ROWS };
static const struct option_row key_rows[] = { NAME_ROW,
	HUB_TOOL_ROW("renew-key", 0, "KEY", "primary, secondary, both or swap", OPTION_TEXT, key), HUB_TOOL_ROWS };

/* As az has them at provisioning. */
#define POLICY_NAME_ROW HUB_TOOL_ROW("policy-name", 'n', "NAME", "the policy", OPTION_TEXT, name)

static const struct option_row provisioning_list_rows[] = { PROVISIONING_TOOL_ROWS };
static const struct option_row provisioning_name_rows[] = { POLICY_NAME_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row rights_rows[] = { POLICY_NAME_ROW,
	HUB_TOOL_ROW("rights", 'r', "RIGHTS",
		"some of EnrollmentRead, EnrollmentWrite, RegistrationStatusRead, RegistrationStatusWrite", OPTION_TEXT,
		permissions),
	PROVISIONING_TOOL_ROWS };
static const struct option_row provisioning_key_rows[] = { POLICY_NAME_ROW,
	HUB_TOOL_ROW("renew-key", 0, "KEY", "primary, secondary, both or swap", OPTION_TEXT, key), PROVISIONING_TOOL_ROWS };

static char *
policy_path(const struct options *o, const char *rest, struct err *err)
{
	if (!o->name)
		return err_null(err, ERR_INVALID, "the name of the policy is missing (-n)");
	return hub_tool_path("policies", o->name, NULL, rest);
}

static int
list(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_LIB(json_t) answer = NULL;

	(void)options;
	if (hub_session_request(s, "GET", "policies", NULL, false, &answer, err) < 0)
		return -1;
	*out = json_incref(json_object_get(answer, "value"));
	return *out ? 0 : err_set(err, ERR_INVALID, "the answer has no value");
}

static int
show(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = policy_path(options, NULL, err);

	return path ? hub_session_request(s, "GET", path, NULL, false, out, err) : -1;
}

static int
put(struct hub_session *s, const struct options *o, bool replace, json_t **out, struct err *err)
{
	OWN_TEXT path = policy_path(o, NULL, err);
	OWN_LIB(json_t) body = NULL;

	if (!path)
		return -1;
	if (!o->permissions)
		return err_set(err, ERR_INVALID, "its rights are missing (--help names them)");
	body = json_pack("{s:s}", "rights", o->permissions);
	return hub_session_request(s, "PUT", path, body, replace, out, err);
}

static int
create(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;

	return put(s, o, o->replace, out, err);
}

static int
update(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	return put(s, options, true, out, err);
}

static int
renew_key(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = policy_path(o, "regenerate", err);
	OWN_LIB(json_t) body = NULL;

	if (!path || hub_tool_need(o->key, "renew-key", err) < 0)
		return -1;
	body = json_pack("{s:s}", "key", o->key);
	return hub_session_request(s, "POST", path, body, false, out, err);
}

static int delete (struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = policy_path(options, NULL, err);

	return path ? hub_session_request(s, "DELETE", path, NULL, true, out, err) : -1;
}

/* What the hub lets in beside that. */
static int
authentication(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	(void)options;
	return hub_session_request(s, "GET", "authentication", NULL, false, out, err);
}

static const struct hub_column columns[] = { { "NAME", "keyName" }, { "RIGHTS", "rights" }, { 0 } };

static const struct hub_verb verbs[] = {
	{ "list", "List the policies.", list_rows, list, columns },
	{ "show", "Show a policy with its keys.", name_rows, show, NULL },
	{ "create", "Make a policy, with keys of its own.", create_rows, create, NULL },
	{ "renew-key", "Make new keys for a policy: the old ones are no good from then on.", key_rows, renew_key, NULL },
	{ "delete", "Delete a policy.", name_rows, delete, NULL },
	{ "authentication", "Show what devices are let in by beside that.", list_rows, authentication, NULL },
	{ 0 },
};

int
hub_policy(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "policy",
		.summary = "Shared access policies: what services may do, by the key that they sign with.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
	};

	return hub_noun_run(&noun, argc, argv);
}

static const struct hub_verb provisioning_verbs[] = {
	{ "list", "List the policies.", provisioning_list_rows, list, columns },
	{ "show", "Show a policy with its keys.", provisioning_name_rows, show, NULL },
	{ "create", "Make a policy, with keys of its own.", rights_rows, create, NULL },
	{ "update", "Give other rights to a policy; it keeps its keys.", rights_rows, update, NULL },
	{ "renew-key", "Make new keys for a policy: the old ones are no good from then on.", provisioning_key_rows, renew_key,
		NULL },
	{ "delete", "Delete a policy.", provisioning_name_rows, delete, NULL },
	{ 0 },
};

int
provisioning_policy(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "policy",
		.summary = "Shared access policies of provisioning: what services may do, by the key that they sign with.",
		.verbs = provisioning_verbs,
		.options_size = sizeof(struct options),
		.service = &hub_tool_provisioning,
	};

	return hub_noun_run(&noun, argc, argv);
}
