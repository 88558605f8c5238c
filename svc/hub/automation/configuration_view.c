/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration as services are shown it (configuration_view.h). */
#include "hub/automation/configuration_view.h"

#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"

static void
put_time(json_t *view, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT_LEN];

	json_object_set_new(view, name, json_string(clock_text_ms(ms, text)));
}

static json_t *
system_metrics(const struct configuration *c, int64_t targeted, int64_t applied)
{
	const char *condition = json_string_value(json_object_get(c->doc, "targetCondition"));
	OWN_TEXT target = NULL;
	OWN_TEXT query = mem_textf("select deviceId from %s where configurations.[[%s]].status = 'Applied'",
		c->kind == CONTENT_MODULE ? "devices.modules" : "devices", c->id);

	if (condition && strncasecmp(condition, "FROM ", 5) == 0)
		target = mem_textf("select deviceId %s", condition);
	else
		target = mem_textf("select deviceId from %s where %s", c->kind == CONTENT_MODULE ? "devices.modules" : "devices",
			c->condition && c->condition->where ? condition
			: c->condition			    ? "true"
							    : "false");
	return json_pack("{s:{s:I, s:I}, s:{s:s, s:s}}", "results", "targetedCount", (json_int_t)targeted, "appliedCount",
		(json_int_t)applied, "queries", "targetedCount", target, "appliedCount", query);
}

static json_t *
metrics(const struct configuration *c, json_t *results)
{
	json_t *queries = json_object_get(json_object_get(c->doc, "metrics"), "queries");

	return json_pack("{s:O, s:o}", "results", results, "queries", queries ? json_incref(queries) : json_object());
}

json_t *
configuration_view(const struct configuration *c, int64_t targeted, int64_t applied, json_t *results)
{
	static const char *const kept[] = { "schemaVersion", "labels", "content", "targetCondition" };
	json_t *shown = json_object();

	json_object_set_new(shown, "id", json_string(c->id));
	for (size_t i = 0; i < COUNT(kept); i++)
		if (json_object_get(c->doc, kept[i]))
			json_object_set(shown, kept[i], json_object_get(c->doc, kept[i]));
	if (!json_object_get(shown, "schemaVersion"))
		json_object_set_new(shown, "schemaVersion", json_string("1.0"));
	json_object_set_new(shown, "priority", json_integer(c->priority));
	put_time(shown, "createdTimeUtc", c->created_ms);
	put_time(shown, "lastUpdatedTimeUtc", json_integer_value(json_object_get(c->doc, "updated_ms")));
	json_object_set_new(shown, "systemMetrics", system_metrics(c, targeted, applied));
	json_object_set_new(shown, "metrics", metrics(c, results));
	json_object_set_new(shown, "etag", json_string(c->etag));
	return shown;
}
