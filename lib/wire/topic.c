/* SPDX-License-Identifier: Apache-2.0 */
/* Topics and filters, taken apart from the left. */
#include <string.h>

#include "wire/topic.h"

static bool
skip(struct slice *s, const char *prefix)
{
	size_t len = strlen(prefix);

	if (!slice_starts(*s, prefix))
		return false;
	*s = (struct slice){ .text = s->text + len, .len = s->len - len };
	return true;
}

/* "D/" or "D/modules/M/" after "devices/": the ids, and *s is what follows. */
static bool
take_owner(struct slice *s, struct slice *device, struct slice *module)
{
	if (!skip(s, "devices/") || !slice_cut(s, '/', device) || device->len == 0)
		return false;
	if (!skip(s, "modules/"))
		return true;
	return slice_cut(s, '/', module) && module->len > 0;
}

static bool
take_rid(struct slice s, struct topic *topic)
{
	struct slice pair;
	bool more = true;

	while (more) {
		more = slice_cut(&s, '&', &pair);
		if (skip(&pair, "$rid=")) {
			topic->rid = pair;
			return pair.len > 0 && pair.len <= 256;
		}
	}
	return false;
}

static struct topic
system_topic(struct slice s)
{
	struct topic topic = { 0 };

	if (skip(&s, "twin/GET/?") && take_rid(s, &topic))
		topic.kind = TOPIC_TWIN_GET;
	else if (skip(&s, "twin/PATCH/properties/reported/?") && take_rid(s, &topic))
		topic.kind = TOPIC_TWIN_REPORTED;
	else if (skip(&s, "methods/res/") && slice_cut(&s, '/', &topic.status) && skip(&s, "?") && take_rid(s, &topic))
		topic.kind = TOPIC_METHOD_RESPONSE;
	return topic;
}

struct topic
topic_parse(struct slice text)
{
	struct topic topic = { 0 };
	struct slice s = text;

	if (skip(&s, "$iothub/"))
		return system_topic(s);
	if (!take_owner(&s, &topic.device_id, &topic.module_id) || !skip(&s, "messages/events"))
		return (struct topic){ 0 };
	if (s.len > 0 && !skip(&s, "/"))
		return (struct topic){ 0 };
	topic.kind = TOPIC_TELEMETRY;
	topic.bag = s;
	return topic;
}

struct filter
filter_parse(struct slice text)
{
	struct filter filter = { 0 };
	struct slice s = text;

	if (slice_is(text, "$iothub/twin/res/#"))
		filter.kind = FILTER_TWIN_RESPONSE;
	else if (slice_is(text, "$iothub/twin/PATCH/properties/desired/#"))
		filter.kind = FILTER_TWIN_DESIRED;
	else if (slice_is(text, "$iothub/methods/POST/#"))
		filter.kind = FILTER_METHODS;
	else if (!take_owner(&s, &filter.device_id, &filter.module_id))
		return (struct filter){ 0 };
	else if (slice_is(s, "messages/devicebound/#"))
		filter.kind = FILTER_DEVICEBOUND;
	else if (filter.module_id.len > 0 && slice_is(s, "inputs/#"))
		filter.kind = FILTER_INPUTS;
	else if (filter.module_id.len > 0 && slice_is(s, "#"))
		filter.kind = FILTER_MODULE_ALL;
	else
		return (struct filter){ 0 };
	return filter;
}

uint8_t
filter_qos(enum filter_kind kind)
{
	return kind == FILTER_DEVICEBOUND || kind == FILTER_INPUTS || kind == FILTER_MODULE_ALL ? 1 : 0;
}
