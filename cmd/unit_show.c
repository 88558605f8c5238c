/* SPDX-License-Identifier: Apache-2.0 */
/* systemctl show. */
#include "unit_show.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static const char *const names[UNIT_FIELDS] = {
	[UNIT_ID] = "Id",
	[UNIT_LOAD] = "LoadState",
	[UNIT_ACTIVE] = "ActiveState",
	[UNIT_SUB] = "SubState",
	[UNIT_RESULT] = "Result",
	[UNIT_PID] = "MainPID",
	[UNIT_RESTARTS] = "NRestarts",
	[UNIT_STATUS] = "ExecMainStatus",
	[UNIT_ENTERED] = "ActiveEnterTimestampMonotonic",
	[UNIT_CONDITION] = "ConditionResult",
};

char *
unit_show_properties(void)
{
	struct buf text = BUF_INIT(1024);

	for (size_t i = 0; i < COUNT(names); i++)
		buf_putf(&text, "%s%s", i == 0 ? "" : ",", names[i]);
	return buf_take_text(&text);
}

static void
take(struct unit_show *unit, const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len);

	for (size_t i = 0; equals && i < COUNT(names); i++)
		if (strlen(names[i]) == (size_t)(equals - line) && strncmp(names[i], line, (size_t)(equals - line)) == 0)
			snprintf(unit->value[i], UNIT_VALUE_MAX, "%.*s", (int)(len - (size_t)(equals - line) - 1), equals + 1);
}

size_t
unit_show_parse(struct unit_show *out, size_t max, const char *text)
{
	size_t n = 0;
	bool begun = false;

	while (*text && n < max) {
		size_t len = strcspn(text, "\n");

		if (len > 0 && !begun)
			out[n] = (struct unit_show){ 0 };
		if (len > 0)
			take(&out[n], text, len);
		else if (begun)
			n++;
		begun = len > 0;
		text += len + (text[len] == '\n');
	}
	return begun && n < max ? n + 1 : n;
}

const char *
unit_show_state(const struct unit_show *service, const struct unit_show *socket, char *out, size_t size)
{
	const char *active = service->value[UNIT_ACTIVE], *result = service->value[UNIT_RESULT];

	if (text_is(active, "active") && text_is(service->value[UNIT_SUB], "exited"))
		snprintf(out, size, "Done");
	else if (text_is(active, "active"))
		snprintf(out, size, "Running");
	else if (text_is(active, "activating") && !text_is(service->value[UNIT_SUB], "auto-restart"))
		snprintf(out, size, "Starting");
	else if (text_is(active, "inactive") && socket && text_is(socket->value[UNIT_ACTIVE], "active"))
		snprintf(out, size, "Ready");
	else if (text_is(active, "inactive") && text_is(service->value[UNIT_CONDITION], "no") && !socket)
		snprintf(out, size, "Not configured");
	else if (text_is(service->value[UNIT_LOAD], "not-found"))
		snprintf(out, size, "Down - not installed");
	else if (*result && !text_is(result, "success"))
		snprintf(out, size, "Down - %s (%s, status %s)", active, result, service->value[UNIT_STATUS]);
	else
		snprintf(out, size, "Down - %s", *active ? active : "unknown");
	return out;
}
