/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub method: a direct method of a device or module, in the words of `az iot hub invoke-device-method`. */
#include "base/mem.h"
#include "hub.h"
#include "hub_tool.h"

#define TIMEOUT_S 30
#define SLACK_S 10

struct options {
	struct hub_tool_options tool;
	const char *device_id, *module_id, *name, *payload;
	int64_t timeout_s, connect_timeout_s;
};

static const struct option_row rows[] = {
	HUB_TOOL_ROW("device-id", 'd', "ID", "the device", OPTION_TEXT, device_id),
	HUB_TOOL_ROW("module-id", 'm', "ID", "its module, if that is to do it", OPTION_TEXT, module_id),
	HUB_TOOL_ROW("method-name", 0, "NAME", "the method", OPTION_TEXT, name),
	HUB_TOOL_ROW("method-payload", 0, "JSON", "given to it; @FILE reads a file", OPTION_TEXT, payload),
	{ "timeout", 0, "SECONDS", "how long it may take to answer (30)", OPTION_INT, offsetof(struct options, timeout_s), 5, 300 },
	{ "connect-timeout", 0, "SECONDS", "how long the device may take to connect (0)", OPTION_INT,
		offsetof(struct options, connect_timeout_s), 0, 300 },
	HUB_TOOL_ROWS,
};

static int
invoke(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = hub_tool_path("twins", o->device_id, o->module_id, "methods");
	json_t *payload = o->payload ? hub_tool_json(o->payload, "method-payload", err) : json_null();
	int64_t timeout_s = o->timeout_s ? o->timeout_s : TIMEOUT_S;
	OWN_LIB(json_t) body = NULL;

	if (!payload)
		return -1;
	body = json_pack("{s:s?, s:o, s:I, s:I}", "methodName", o->name, "payload", payload, "responseTimeoutInSeconds",
		(json_int_t)timeout_s, "connectTimeoutInSeconds", (json_int_t)o->connect_timeout_s);
	if (hub_tool_need(o->device_id, "device-id", err) < 0 || hub_tool_need(o->name, "method-name", err) < 0)
		return -1;
	s->timeout_ms = (timeout_s + o->connect_timeout_s + SLACK_S) * 1000;
	return hub_session_request(s, "POST", path, body, false, out, err);
}

static const struct hub_verb verbs[] = {
	{ "invoke", "Let a device or module carry out a method, and show what it answers.", rows, invoke, NULL },
	{ 0 },
};

int
hub_method(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "method",
		.summary = "Direct methods of devices and modules.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
	};

	return hub_noun_run(&noun, argc, argv);
}
