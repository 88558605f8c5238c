/* SPDX-License-Identifier: Apache-2.0 */
/* Does a route take a message?  By its source first, which costs nothing; its properties and its body are taken apart when a condition asks for them, once for all routes. */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"
#include "wire/property_bag.h"
#include "wire/route_inside.h"

/* As conditions call what a message has beside its own properties (gateway 4.2). */
static const struct {
	const char *wire, *name;
} system_rows[] = {
	{ "$.mid", "messageId" },
	{ "$.cid", "correlationId" },
	{ "$.uid", "userId" },
	{ "$.to", "to" },
	{ "$.ct", "contentType" },
	{ "$.ce", "contentEncoding" },
	{ "$.exp", "expiryTimeUtc" },
	{ "$.on", "outputName" },
	{ "$.ifid", "interfaceId" },
	{ "$.sub", "dtSubject" },
	{ "$.schema", "messageSchema" },
	{ "$.ctime", "creationTimeUtc" },
};

void
route_view_init(struct route_view *view, const struct route_message *message)
{
	*view = (struct route_view){ .message = message };
}

void
route_view_clear(struct route_view *view)
{
	mem_free(view->output);
	json_decref(view->row);
	*view = (struct route_view){ 0 };
}

/* -- The source -------------------------------------------------------------------------------------------------------------------------- */

const char *
route_view_output(struct route_view *view)
{
	struct property_bag bag;

	if (view->has_output)
		return view->output;
	view->has_output = true;
	property_bag_init(&bag, view->message->bag);
	while (!view->output && property_bag_next(&bag))
		if (bag.has_value && text_is(buf_text(&bag.name), "$.on"))
			view->output = mem_text(buf_text(&bag.value));
	property_bag_clear(&bag);
	return view->output;
}

/* The parts of a message's source; `n` are wanted at most. */
static size_t
source_of(struct route_view *view, size_t n, struct slice parts[static ROUTE_SOURCE_PARTS])
{
	const struct route_message *m = view->message;
	const char *output;

	if (m->is_twin_change) {
		parts[0] = slice_of("twinChangeNotifications");
		return 1;
	}
	parts[0] = slice_of("messages");
	parts[1] = slice_of(m->is_own ? "modules" : "events");
	if (!m->is_own)
		return 2;
	parts[2] = m->module_id;
	output = n > 3 ? route_view_output(view) : NULL;
	if (!output)
		return 3;
	parts[3] = slice_of("outputs");
	parts[4] = slice_of(output);
	return 5;
}

/* The language's own words in any case, ids and outputs as they are. */
static bool
part_is(size_t i, struct slice wanted, struct slice part)
{
	if (wanted.len != part.len)
		return false;
	if (i == 2 || i == 4)
		return memcmp(wanted.text, part.text, part.len) == 0;
	return strncasecmp(wanted.text, part.text, part.len) == 0;
}

static bool
is_from(const struct route *route, struct route_view *view)
{
	struct slice parts[ROUTE_SOURCE_PARTS];
	size_t n;

	if (route->n_parts == 0)
		return true;
	n = source_of(view, route->n_parts, parts);
	if (n < route->n_parts)
		return false;
	for (size_t i = 0; i < route->n_parts; i++)
		if (!part_is(i, route->parts[i], parts[i]))
			return false;
	return true;
}

/* -- What conditions see ----------------------------------------------------------------------------------------------------------------- */

/* Who sent it is nothing that a property can say, and the brace is ours. */
static bool
is_ours(const char *name)
{
	return text_starts(name, "{") || text_is_nocase(name, "$connectionDeviceId") || text_is_nocase(name, "$connectionModuleId");
}

/* A system property under {$name, and under $name unless the message has a property of that name. */
static void
put_system(json_t *row, const char *name, const char *value)
{
	OWN_TEXT braced = mem_textf("{$%s", name);

	json_object_set_new(row, braced, json_string(value));
	if (!json_object_get(row, braced + 1))
		json_object_set_new(row, braced + 1, json_string(value));
}

static void
put_slice(json_t *row, const char *name, struct slice value)
{
	OWN_TEXT text = slice_text(value);

	if (value.len > 0)
		put_system(row, name, text);
}

static const char *
system_name(const char *wire)
{
	for (size_t i = 0; i < COUNT(system_rows); i++)
		if (text_is(system_rows[i].wire, wire))
			return system_rows[i].name;
	return NULL;
}

static void
put_properties(json_t *row, struct slice text)
{
	struct property_bag bag;

	property_bag_init(&bag, text);
	while (property_bag_next(&bag)) {
		const char *name = system_name(buf_text(&bag.name));

		if (name)
			put_system(row, name, buf_text(&bag.value));
		else if (!is_ours(buf_text(&bag.name)))
			json_object_set_new(row, buf_text(&bag.name), json_string(buf_text(&bag.value)));
	}
	property_bag_clear(&bag);
}

static void
make_row(struct route_view *view)
{
	const struct route_message *m = view->message;
	char when[CLOCK_TEXT_LEN];

	view->row = json_object();
	put_properties(view->row, m->bag);
	put_slice(view->row, "connectionDeviceId", m->device_id);
	put_slice(view->row, "connectionModuleId", m->module_id);
	put_system(view->row, "enqueuedTime", clock_text(m->enqueued_ms / 1000, when));
}

static const char *
system_property(const struct route_view *view, const char *braced)
{
	return json_string_value(json_object_get(view->row, braced));
}

static void
look_for_body(void *arg, const struct query_node *path)
{
	struct route_view *view = arg;
	const struct route_message *m = view->message;
	json_t *body;

	if (view->has_body || !text_is_nocase(path->path[0], "$body"))
		return;
	view->has_body = true;
	body = m->is_twin_change
		       ? route_body("application/json", "utf-8", m->payload)
		       : route_body(system_property(view, "{$contentType"), system_property(view, "{$contentEncoding"), m->payload);
	if (body)
		json_object_set_new(view->row, "$body", body);
}

bool
route_takes(const struct route *route, struct route_view *view)
{
	if (!is_from(route, view))
		return false;
	if (!route->where)
		return true;
	if (!view->row)
		make_row(view);
	query_each_path(route->where, look_for_body, view);
	return query_is_true(route->where, view->row);
}
