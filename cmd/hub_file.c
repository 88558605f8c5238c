/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub file: what devices have uploaded.  Files themselves are read by a link or a policy (docs/hub.md). */
#include "hub.h"
#include "hub_tool.h"

struct options {
	struct hub_tool_options tool;
};

static const struct option_row rows[] = { HUB_TOOL_ROWS };

/* Each is taken out of the hub by its lock once it is in our hands. */
static int
notifications(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	(void)options;
	return hub_session_take(s, "messages/serviceBound/filenotifications", out, err);
}

static const struct hub_column columns[] = {
	{ "DEVICE", "deviceId" },
	{ "BYTES", "blobSizeInBytes" },
	{ "ENQUEUED", "enqueuedTimeUtc" },
	{ "BLOB", "blobUri" },
	{ 0 },
};

static const struct hub_verb verbs[] = {
	{ "notifications", "Show and take the notifications of files that have come since the last time.", rows, notifications,
		columns },
	{ 0 },
};

int
hub_file(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "file",
		.summary = "Files that devices upload.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
	};

	return hub_noun_run(&noun, argc, argv);
}
