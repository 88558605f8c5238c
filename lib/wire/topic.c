/* SPDX-License-Identifier: Apache-2.0 */
/* Topics and filters, taken apart from the left. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/topic.h"

#define RID_MAX 256

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

/* "?$rid=R&$version=V"; what else stands there is overlooked. */
static void
read_query(struct slice s, struct slice *rid, struct slice *version)
{
	struct slice pair;
	bool more = skip(&s, "?");

	while (more) {
		more = slice_cut(&s, '&', &pair);
		if (skip(&pair, "$rid="))
			*rid = pair;
		else if (skip(&pair, "$version="))
			*version = pair;
	}
}

static bool
is_rid(struct slice rid)
{
	return rid.len > 0 && rid.len <= RID_MAX;
}

/* A rid there must be. */
static bool
take_query(struct slice s, struct topic *topic)
{
	read_query(s, &topic->rid, &topic->version);
	return is_rid(topic->rid);
}

static bool
read_number(struct slice s, int64_t min, int64_t max, int64_t *value)
{
	char text[24]; /* the longest is -9223372036854775808 */

	if (s.len >= sizeof(text) || memchr(s.text, 0, s.len))
		return false;
	memcpy(text, s.text, s.len);
	text[s.len] = '\0';
	return text_to_i64(text, min, max, value);
}

static bool
is_status(struct slice s)
{
	int64_t value;

	return read_number(s, INT32_MIN, INT32_MAX, &value);
}

static enum topic_kind
system_kind(struct slice s, struct topic *topic)
{
	if (skip(&s, "twin/GET/"))
		return take_query(s, topic) ? TOPIC_TWIN_GET : TOPIC_UNKNOWN;
	if (skip(&s, "twin/PATCH/properties/reported/"))
		return take_query(s, topic) ? TOPIC_TWIN_REPORTED : TOPIC_UNKNOWN;
	if (skip(&s, "credentials/POST/issueCertificate/"))
		return take_query(s, topic) ? TOPIC_ISSUE_CERT : TOPIC_UNKNOWN;
	if (skip(&s, "methods/res/") && slice_cut(&s, '/', &topic->status) && is_status(topic->status))
		return take_query(s, topic) ? TOPIC_METHOD_RESPONSE : TOPIC_UNKNOWN;
	return TOPIC_UNKNOWN;
}

static struct topic
system_topic(struct slice s)
{
	struct topic topic = { 0 };

	topic.kind = system_kind(s, &topic);
	return topic.kind == TOPIC_UNKNOWN ? (struct topic){ 0 } : topic;
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

/* -- What a device is told ------------------------------------------------------------------------------------------------------------ */

static bool
take_told_query(struct slice s, struct told *told, bool needs_version)
{
	struct slice version = { 0 };

	read_query(s, &told->rid, &version);
	if (version.len == 0)
		return !needs_version;
	return read_number(version, 0, INT64_MAX, &told->version);
}

static enum told_kind
told_by_system(struct slice s, struct told *told)
{
	struct slice status;
	int64_t value;

	if (skip(&s, "twin/PATCH/properties/desired/"))
		return take_told_query(s, told, true) ? TOLD_DESIRED : TOLD_UNKNOWN;
	if (skip(&s, "methods/POST/") && slice_cut(&s, '/', &told->name) && told->name.len > 0)
		return take_told_query(s, told, false) && is_rid(told->rid) ? TOLD_METHOD : TOLD_UNKNOWN;
	if (!skip(&s, "twin/res/") || !slice_cut(&s, '/', &status) || !read_number(status, 0, 999, &value))
		return TOLD_UNKNOWN;
	told->status = (int)value;
	return take_told_query(s, told, false) && is_rid(told->rid) ? TOLD_TWIN_ANSWER : TOLD_UNKNOWN;
}

struct told
told_parse(struct slice text)
{
	struct told told = { 0 };
	struct slice s = text;

	if (skip(&s, "$iothub/"))
		told.kind = told_by_system(s, &told);
	else if (take_owner(&s, &told.device_id, &told.module_id) && skip(&s, "messages/devicebound/"))
		told.kind = TOLD_COMMAND;
	told.bag = told.kind == TOLD_COMMAND ? s : (struct slice){ 0 };
	return told.kind == TOLD_UNKNOWN ? (struct told){ 0 } : told;
}

/* -- Filters ---------------------------------------------------------------------------------------------------------------------------- */

/* What stands in a filter, after "devices/ID/" or "devices/ID/modules/ID/" where it has an owner: one text for each kind, so that a kind says all of a subscription. */
static const struct {
	const char *text;
	bool has_owner, of_module; /* of_module: of no device */
} filter_rows[FILTER_KINDS] = {
	[FILTER_TWIN_RESPONSE] = { "$iothub/twin/res/#", false, false },
	[FILTER_TWIN_DESIRED] = { "$iothub/twin/PATCH/properties/desired/#", false, false },
	[FILTER_METHODS] = { "$iothub/methods/POST/#", false, false },
	[FILTER_CREDENTIALS] = { "$iothub/credentials/res/#", false, false },
	[FILTER_DEVICEBOUND] = { "messages/devicebound/#", true, false },
	[FILTER_INPUTS] = { "inputs/#", true, true },
	[FILTER_MODULE_ALL] = { "#", true, true },
};

struct filter
filter_parse(struct slice text)
{
	struct filter filter = { 0 };
	struct slice rest = text;
	bool has_owner = take_owner(&rest, &filter.device_id, &filter.module_id);

	if (!has_owner)
		rest = text;
	for (int kind = 1; kind < FILTER_KINDS; kind++) {
		if (filter_rows[kind].has_owner != has_owner || (filter_rows[kind].of_module && filter.module_id.len == 0))
			continue;
		if (!slice_is(rest, filter_rows[kind].text))
			continue;
		filter.kind = (enum filter_kind)kind;
		return filter;
	}
	return (struct filter){ 0 };
}

char *
filter_text(enum filter_kind kind, const char *device_id, const char *module_id)
{
	const char *text = filter_rows[kind].text;

	if (!filter_rows[kind].has_owner)
		return mem_text(text);
	return module_id ? mem_textf("devices/%s/modules/%s/%s", device_id, module_id, text)
			 : mem_textf("devices/%s/%s", device_id, text);
}

uint8_t
filter_qos(enum filter_kind kind)
{
	return kind == FILTER_DEVICEBOUND || kind == FILTER_INPUTS || kind == FILTER_MODULE_ALL ? 1 : 0;
}
