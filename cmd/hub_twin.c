/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub twin: twins of devices and modules, in the words of `az iot hub device-twin` and `module-twin`. */
#include "base/mem.h"
#include "hub.h"
#include "hub_tool.h"

struct options {
	struct hub_tool_options tool;
	const char *device_id, *module_id, *tags, *desired, *twin, *etag;
};

#define IDS_ROWS                                                                                                                   \
	HUB_TOOL_ROW("device-id", 'd', "ID", "the device", OPTION_TEXT, device_id),                                                \
		HUB_TOOL_ROW("module-id", 'm', "ID", "its module, if the twin is that of one", OPTION_TEXT, module_id)

static const struct option_row show_rows[] = { IDS_ROWS, HUB_TOOL_ROWS };
static const struct option_row update_rows[] = {
	IDS_ROWS,
	HUB_TOOL_ROW("tags", 0, "JSON", "merged into the tags; null removes; @FILE reads a file", OPTION_TEXT, tags),
	HUB_TOOL_ROW("desired", 0, "JSON", "merged into the desired properties", OPTION_TEXT, desired),
	HUB_TOOL_ROW("etag", 'e', "ETAG", "only if the twin is still this one", OPTION_TEXT, etag),
	HUB_TOOL_ROWS,
};
static const struct option_row replace_rows[] = {
	IDS_ROWS,
	HUB_TOOL_ROW("twin", 'j', "JSON", "the whole twin, or @FILE", OPTION_TEXT, twin),
	HUB_TOOL_ROW("etag", 'e', "ETAG", "only if the twin is still this one", OPTION_TEXT, etag),
	HUB_TOOL_ROWS,
};

static char *
twin_path(const struct options *o, struct err *err)
{
	if (hub_tool_need(o->device_id, "device-id", err) < 0)
		return NULL;
	return hub_tool_path("twins", o->device_id, o->module_id, NULL);
}

static int
show(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = twin_path(options, err);

	return path ? hub_session_request(s, "GET", path, NULL, false, out, err) : -1;
}

static int
send_twin(struct hub_session *s, const struct options *o, const char *method, const json_t *body, json_t **out, struct err *err)
{
	OWN_TEXT path = twin_path(o, err);
	OWN_TEXT match = mem_textf("If-Match: %s", o->etag ? o->etag : "*");
	const char *headers[] = { match, NULL };

	if (!path)
		return -1;
	return hub_session_ask(
		s, &(struct hub_request){ .method = method, .path = path, .body = body, .headers = headers }, out, NULL, err);
}

static int
update(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_LIB(json_t) tags = o->tags ? hub_tool_json(o->tags, "tags", err) : NULL;
	OWN_LIB(json_t) desired = o->desired ? hub_tool_json(o->desired, "desired", err) : NULL;
	OWN_LIB(json_t) body = json_object();

	if ((o->tags && !tags) || (o->desired && !desired))
		return -1;
	if (!tags && !desired)
		return err_set(err, ERR_INVALID, "--tags or --desired is missing");
	if (tags)
		json_object_set(body, "tags", tags);
	if (desired)
		json_object_set_new(body, "properties", json_pack("{s:O}", "desired", desired));
	return send_twin(s, o, "PATCH", body, out, err);
}

static int
replace(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_LIB(json_t) body = NULL;

	if (hub_tool_need(o->twin, "twin", err) < 0)
		return -1;
	body = hub_tool_json(o->twin, "twin", err);
	return body ? send_twin(s, o, "PUT", body, out, err) : -1;
}

static const struct hub_verb verbs[] = {
	{ "show", "Show a twin.", show_rows, show, NULL },
	{ "update", "Change tags and desired properties of a twin; what is not named stays.", update_rows, update, NULL },
	{ "replace", "Replace tags and desired properties of a twin.", replace_rows, replace, NULL },
	{ 0 },
};

int
hub_twin(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "twin",
		.summary = "Show and change the twins of devices and modules.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
	};

	return hub_noun_run(&noun, argc, argv);
}
