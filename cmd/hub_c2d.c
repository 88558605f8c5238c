/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub c2d: cloud-to-device messages, in the words of `az iot device c2d-message`. */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub.h"
#include "hub_tool.h"

#define PROPERTIES_MAX OPTION_LIST_MAX
#define HEADERS_MAX (PROPERTIES_MAX + 8)

struct options {
	struct hub_tool_options tool;
	const char *device_id, *data, *message_id, *correlation_id, *user_id, *content_type, *content_encoding, *ack, *expiry;
	struct option_list properties;
};

static const struct option_row send_rows[] = {
	HUB_TOOL_ROW("device-id", 'd', "ID", "the device", OPTION_TEXT, device_id),
	HUB_TOOL_ROW("data", 0, "TEXT", "the message (Ping from rootedge)", OPTION_TEXT, data),
	HUB_TOOL_ROW("property", 'p', "NAME=VALUE", "a property; may be given several times", OPTION_LIST, properties),
	HUB_TOOL_ROW("message-id", 0, "ID", "its message id", OPTION_TEXT, message_id),
	HUB_TOOL_ROW("correlation-id", 0, "ID", "its correlation id", OPTION_TEXT, correlation_id),
	HUB_TOOL_ROW("user-id", 0, "ID", "its user id", OPTION_TEXT, user_id),
	HUB_TOOL_ROW("content-type", 0, "TYPE", "such as application/json", OPTION_TEXT, content_type),
	HUB_TOOL_ROW("content-encoding", 0, "NAME", "such as utf-8", OPTION_TEXT, content_encoding),
	HUB_TOOL_ROW("ack", 0, "WHAT", "positive, negative or full: feedback about it", OPTION_TEXT, ack),
	HUB_TOOL_ROW("expiry", 0, "TIME", "not delivered after this (RFC 3339)", OPTION_TEXT, expiry),
	HUB_TOOL_ROWS,
};
static const struct option_row device_rows[] = {
	HUB_TOOL_ROW("device-id", 'd', "ID", "the device", OPTION_TEXT, device_id),
	HUB_TOOL_ROWS,
};
static const struct option_row no_rows[] = { HUB_TOOL_ROWS };

struct headers {
	char *line[HEADERS_MAX + 1];
	size_t n;
};

static void
headers_clear(struct headers *h)
{
	for (size_t i = 0; i < h->n; i++)
		mem_free(h->line[i]);
}

static void
put(struct headers *h, const char *name, const char *value)
{
	if (value)
		h->line[h->n++] = mem_textf("%s: %s", name, value);
}

static int
put_properties(struct headers *h, const struct option_list *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *equals = strchr(list->items[i], '=');

		if (!equals || equals == list->items[i])
			return err_set(err, ERR_INVALID, "--property: expected NAME=VALUE, found '%s'", list->items[i]);
		h->line[h->n++] = mem_textf("iothub-app-%.*s: %s", (int)(equals - list->items[i]), list->items[i], equals + 1);
	}
	return 0;
}

static void
put_system(struct headers *h, const struct options *o)
{
	put(h, "iothub-messageid", o->message_id);
	put(h, "iothub-correlationid", o->correlation_id);
	put(h, "iothub-userid", o->user_id);
	put(h, "iothub-contenttype", o->content_type);
	put(h, "iothub-contentencoding", o->content_encoding);
	put(h, "iothub-ack", o->ack);
	put(h, "iothub-expiry", o->expiry);
}

static int
send_message(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = hub_tool_path("devices", o->device_id, NULL, "messages/devicebound");
	const char *data = o->data ? o->data : "Ping from rootedge";
	CLEAR(headers) headers = { .n = 0 };

	if (hub_tool_need(o->device_id, "device-id", err) < 0 || put_properties(&headers, &o->properties, err) < 0)
		return -1;
	put_system(&headers, o);
	return hub_session_ask(s,
		&(struct hub_request){ .method = "POST",
			.path = path,
			.raw = data,
			.raw_len = strlen(data),
			.headers = (const char *const *)headers.line },
		out, NULL, err);
}

static int
purge(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	OWN_TEXT path = hub_tool_path("devices", o->device_id, NULL, "commands");

	if (hub_tool_need(o->device_id, "device-id", err) < 0)
		return -1;
	return hub_session_request(s, "DELETE", path, NULL, false, out, err);
}

/* What there is, batch by batch: each answer is taken out of the hub by its lock once it is in our hands. */
static int
feedback(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_LIB(json_t) batches = NULL;
	json_t *batch;
	size_t i;

	(void)options;
	if (hub_session_take(s, "messages/serviceBound/feedback", &batches, err) < 0)
		return -1;
	*out = json_array();
	json_array_foreach(batches, i, batch)
		json_array_extend(*out, batch);
	return 0;
}

static const struct hub_verb verbs[] = {
	{ "send", "Send a message to a device.", send_rows, send_message, NULL },
	{ "purge", "Remove all messages that wait for a device.", device_rows, purge, NULL },
	{ "feedback", "What became of messages that asked for it.", no_rows, feedback, NULL },
	{ 0 },
};

int
hub_c2d(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "c2d",
		.summary = "Cloud-to-device messages.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
	};

	return hub_noun_run(&noun, argc, argv);
}
