/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge provisioning registration: what became of devices that registered, in the words of `az iot dps enrollment registration` and `... enrollment-group registration`. */
#include "base/mem.h"
#include "hub_tool.h"
#include "provisioning.h"

struct options {
	struct hub_tool_options tool;
	const char *id, *group_id, *etag;
	int64_t top;
};

#define ID_ROW                                                                                                                     \
	HUB_TOOL_ROW(                                                                                                              \
		"registration-id", 'r', "ID", "of the device, which for an enrollment of its own is that one's", OPTION_TEXT, id)

static const struct option_row id_rows[] = { ID_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row delete_rows[] = { ID_ROW,
	HUB_TOOL_ROW("etag", 0, "ETAG", "only if it is in this state", OPTION_TEXT, etag), PROVISIONING_TOOL_ROWS };
static const struct option_row list_rows[] = {
	HUB_TOOL_ROW("group-id", 'g', "ID", "of this enrollment group", OPTION_TEXT, group_id),
	{ "top", 0, "N", "no more than so many", OPTION_INT, offsetof(struct options, top), 1, 1000000 },
	PROVISIONING_TOOL_ROWS,
};

static char *
registration_path(const struct options *o, struct err *err)
{
	return hub_tool_need(o->id, "registration-id", err) < 0 ? NULL : hub_tool_path("registrations", o->id, NULL, NULL);
}

static int
show(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = registration_path(options, err);

	return path ? hub_session_request(s, "GET", path, NULL, false, out, err) : -1;
}

static int delete (struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = registration_path(o, err);
	OWN_TEXT match = o->etag ? mem_textf("If-Match: %s", o->etag) : NULL;
	const char *headers[] = { match, NULL };
	struct hub_request request = { .method = "DELETE", .path = path, .headers = headers };

	return path ? hub_session_ask(s, &request, out, NULL, err) : -1;
}

static int
list(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = hub_tool_path("registrations", o->group_id, NULL, "query");

	if (hub_tool_need(o->group_id, "group-id", err) < 0)
		return -1;
	return hub_tool_pages(s, &(struct hub_request){ .method = "POST", .path = path }, o->top, out, err);
}

static const struct hub_column columns[] = {
	{ "ID", "registrationId" },
	{ "STATUS", "status" },
	{ "HUB", "assignedHub" },
	{ "DEVICE", "deviceId" },
	{ "UPDATED", "lastUpdatedDateTimeUtc" },
	{ "WHY", "errorMessage" },
	{ 0 },
};

static const struct hub_verb verbs[] = {
	{ "show", "Show what became of a device.", id_rows, show, NULL },
	{ "list", "List the devices that registered by a group.", list_rows, list, columns },
	{ "delete", "Forget a registration: the device may register as new, and the hub's device stays.", delete_rows, delete,
		NULL },
	{ 0 },
};

int
provisioning_registration(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "registration",
		.summary = "What became of the devices that registered.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
		.service = &hub_tool_provisioning,
	};

	return hub_noun_run(&noun, argc, argv);
}
