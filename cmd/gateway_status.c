/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge gateway status: how the gateway is, and how long it can do without the hub. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway_tool.h"
#include "page.h"
#include "wire/json.h"

static const struct option_row rows[] = { GATEWAY_ROWS, { 0 } };
static const struct option_usage usage = {
	.command = "rootedge gateway status",
	.arguments = "",
	.summary = "Say how the gateway is: its devices, the hub, what waits, its certificate; and what stops first while the hub "
		   "is away.",
	.more = "Exit status: 0 it is ready, 1 it is not, or does not run, 2 called wrongly.",
	.rows = rows,
};

static long long
number_at(const json_t *object, const char *name)
{
	return (long long)json_number_value(json_object_get(object, name));
}

static void
put_bytes(struct buf *page, double n)
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
	size_t i = 0;

	for (; n >= 1000 && i + 1 < COUNT(units); i++)
		n /= 1000;
	buf_putf(page, i == 0 ? "%.0f %s" : "%.1f %s", n, units[i]);
}

/* -- What there is --------------------------------------------------------------------------------------------------------------------------- */

static void
put_head(struct buf *page, const json_t *s)
{
	const char *parent = gateway_text_at(json_object_get(s, "hub"), "parent");

	buf_putf(page, "%s (%s) below %s%s%s, for ", gateway_text_at(s, "hostname"), gateway_text_at(s, "edge_device"),
		gateway_text_at(json_object_get(s, "hub"), "name"), *parent ? " by way of " : "", parent);
	page_put_time(page, number_at(s, "runs_for_s"));
	buf_puts(page, "\n\n");
}

static bool
is_lost(const json_t *reach_of)
{
	const char *reach = gateway_text_at(reach_of, "reach");

	return text_is(reach, "away") || text_is(reach, "refuses");
}

static void
put_since(struct buf *page, const json_t *what)
{
	if (!*gateway_text_at(what, "since"))
		return;
	buf_puts(page, " for ");
	page_put_time(page, number_at(what, "for_s"));
	buf_putf(page, ", since %s", gateway_text_at(what, "since"));
}

/* What the parent says of the hub. */
static void
put_beyond(struct buf *page, const json_t *hub, const char *parent)
{
	const json_t *beyond = json_object_get(hub, "beyond");
	const char *reach = gateway_text_at(beyond, "reach"), *gateway = gateway_text_at(beyond, "gateway");

	if (is_lost(beyond)) {
		buf_putf(page, "%-12s out of reach", "hub");
		put_since(page, beyond);
		buf_putf(page, "\n%-12s %s %s: `rootedge gateway status` there says more\n", "", gateway,
			text_is(reach, "away") ? "has lost those above it" : "is refused by those above it");
	} else if (text_is(reach, "reachable")) {
		buf_putf(page, "%-12s reachable by way of %s, as that says\n", "hub", parent);
	} else {
		buf_putf(page, "%-12s whether the hub is too, `rootedge gateway status` on %s says\n", "", parent);
	}
}

static void
put_hub(struct buf *page, const json_t *s)
{
	const json_t *hub = json_object_get(s, "hub");
	const char *reach = gateway_text_at(hub, "reach"), *parent = gateway_text_at(hub, "parent");

	buf_putf(page, "%-12s %s", *parent ? "parent" : "hub",
		text_is(reach, "unknown")   ? "not tried yet"
		: text_is(reach, "refuses") ? "refuses this gateway"
					    : reach);
	put_since(page, hub);
	if (number_at(hub, "times_away") > 0)
		buf_putf(page, "; out of reach %lld %s since the start", number_at(hub, "times_away"),
			number_at(hub, "times_away") == 1 ? "time" : "times");
	buf_putc(page, '\n');
	if (text_is(reach, "refuses"))
		buf_putf(page, "%-12s %s\n%-12s is this device enabled in the hub, with the keys that it has here%s?\n", "",
			gateway_text_at(hub, "why"), "", *parent ? ", and below the gateway that it asks" : "");
	else if (*parent && text_is(reach, "reachable"))
		put_beyond(page, hub, parent);
}

static void
put_throttle(struct buf *page, const json_t *s)
{
	const json_t *hub = json_object_get(s, "hub");

	if (number_at(hub, "calls_wait_s") > 0)
		buf_putf(page, "%-12s has too much to do: it is not asked for another %lld s, as it wants\n", "",
			number_at(hub, "calls_wait_s"));
	if (number_at(hub, "lines_wait_s") > 0)
		buf_putf(page, "%-12s has too much to do: connections to it wait for another %lld s\n", "",
			number_at(hub, "lines_wait_s"));
	if (number_at(hub, "lines_waiting") > 0)
		buf_putf(page, "%-12s %lld devices and modules wait for their turn to be connected to it\n", "",
			number_at(hub, "lines_waiting"));
}

static void
put_lines(struct buf *page, const json_t *s)
{
	static const char *const words[][2] = {
		{ "not_tried", "nothing was sent so far" },
		{ "carried", "one connection carries all" },
		{ "not_offered", "the hub does not offer to carry them on one" },
		{ "refused", "the one that would carry all is refused" },
		{ "not_reached", "the one that would carry all can't be made" },
		{ "proxy", "the proxy before the hub does not lead to it" },
	};
	const json_t *lines = json_object_get(s, "lines");
	const char *state = gateway_text_at(lines, "carriage"), *why = gateway_text_at(lines, "why");

	buf_putf(page, "%-12s %lld on one connection to the hub, %lld with one of their own", "lines", number_at(lines, "carried"),
		number_at(lines, "alone"));
	for (size_t i = 0; i < COUNT(words); i++)
		if (text_is(state, words[i][0]))
			buf_putf(page, "; %s", words[i][1]);
	put_since(page, lines);
	if (*why)
		buf_putf(page, ": %s", why);
	buf_putc(page, '\n');
}

static void
put_devices(struct buf *page, const json_t *s)
{
	const json_t *devices = json_object_get(s, "devices");
	const char *told = gateway_text_at(devices, "told_at");

	buf_putf(page, "%-12s %lld connected, %lld known; %s%s\n", "devices", number_at(devices, "connected"),
		number_at(devices, "known"),
		*told ? "the hub told all of them at " : "from before this start: the hub has told none since", told);
}

static void
put_queue(struct buf *page, const json_t *s)
{
	const json_t *queue = json_object_get(s, "queue"), *endpoint;
	size_t i;

	buf_putf(page, "%-12s ", "queue");
	put_bytes(page, (double)number_at(queue, "bytes"));
	buf_puts(page, " of ");
	put_bytes(page, (double)number_at(queue, "max_bytes"));
	json_array_foreach(json_object_get(queue, "endpoints"), i, endpoint) {
		buf_putf(page, "; for %s %lld messages", gateway_text_at(endpoint, "endpoint"), number_at(endpoint, "messages"));
	}
	if (json_is_integer(json_object_get(queue, "oldest_s"))) {
		buf_puts(page, "; the oldest has waited ");
		page_put_time(page, number_at(queue, "oldest_s"));
	}
	if (number_at(queue, "refused") > 0)
		buf_putf(page, "; %lld were refused since the start for want of room", number_at(queue, "refused"));
	buf_putc(page, '\n');
}

static void
put_rest(struct buf *page, const json_t *s)
{
	const json_t *certificate = json_object_get(s, "certificate"), *disk = json_object_get(s, "disk_free_bytes");

	buf_putf(page, "%-12s valid until %s", "certificate", gateway_text_at(certificate, "not_after"));
	if (number_at(certificate, "failed_renewals") > 0)
		buf_putf(page, "; %lld attempts to renew it failed", number_at(certificate, "failed_renewals"));
	buf_putf(page, "\n%-12s ", "disk");
	if (json_is_integer(disk))
		put_bytes(page, (double)json_integer_value(disk));
	else
		buf_putc(page, '?');
	buf_puts(page, " free\n");
}

/* Nothing of it where all is well: most gateways have the port. */
static void
put_https(struct buf *page, const json_t *s)
{
	const char *problem = gateway_text_at(json_object_get(s, "https"), "problem");

	if (*problem)
		buf_putf(page,
			"%-12s CLOSED: %s\n%-12s MQTT goes on; WebSocket, HTTPS, methods that modules call and gateways below need "
			"it: "
			"[gateway] https_port\n",
			"port 443", problem, "");
}

/* It lets in whom a list would refuse, which nobody sees otherwise. */
static void
put_revocation(struct buf *page, const json_t *s)
{
	const char *problem = gateway_text_at(json_object_get(s, "revocation"), "problem");

	if (*problem)
		buf_putf(page, "%-12s REVOCATION LISTS NOT READ, what was known before holds: %s\n", "crl_dir", problem);
}

static void
put_faults(struct buf *page, const json_t *s)
{
	json_t *check;
	const char *name;

	json_object_foreach(json_object_get(s, "checks"), name, check) {
		if (!json_is_true(json_object_get(check, "ok")))
			buf_putf(page, "\nNOT READY: %s: %s\n", name, gateway_text_at(check, "says"));
	}
}

/* -- What stops first ------------------------------------------------------------------------------------------------------------------------ */

static void
put_limit(struct buf *page, const json_t *limit)
{
	CLEAR(buf) left = BUF_INIT(64);

	if (!json_is_string(json_object_get(limit, "at")))
		buf_puts(&left, "never");
	else if (number_at(limit, "in_s") <= 0)
		buf_puts(&left, "NOW");
	else
		page_put_time(&left, number_at(limit, "in_s"));
	buf_putf(page, "  %-14s %-20.16s  %-12s %s\n", buf_text(&left), gateway_text_at(limit, "at"),
		gateway_text_at(limit, "what"), gateway_text_at(limit, "why"));
}

static void
put_budget(struct buf *page, const json_t *s)
{
	const json_t *budget = json_object_get(s, "offline_budget"), *limit;
	const json_t *hub = json_object_get(s, "hub");
	const char *first = gateway_text_at(budget, "stops_first");
	size_t i;

	buf_putf(page, "\n%s, %s:\n",
		is_lost(hub) || is_lost(json_object_get(hub, "beyond")) ? "If the hub stays away" : "If the hub went away now",
		*first ? "this stops first" : "nothing stops");
	json_array_foreach(json_object_get(budget, "limits"), i, limit)
		put_limit(page, limit);
}

int
gateway_status(int argc, char **argv)
{
	struct gateway_options o = { .state = GATEWAY_STATE_DEFAULT };
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	OWN_LIB(json_t) status = NULL;
	struct err err = ERR_INIT;
	int called = page_options(&usage, &o, argc, argv);

	if (called != 0)
		return called;
	status = gateway_ask(&o, "GET", "status", NULL, 0, &err);
	if (!status)
		return page_failure(usage.command, &err, 1);
	if (o.json) {
		gateway_print_json(status);
	} else {
		put_head(&page, status);
		put_hub(&page, status);
		put_throttle(&page, status);
		put_lines(&page, status);
		put_devices(&page, status);
		put_queue(&page, status);
		put_rest(&page, status);
		put_https(&page, status);
		put_revocation(&page, status);
		put_faults(&page, status);
		put_budget(&page, status);
		page_print(&page);
	}
	return json_is_true(json_object_get(status, "ready")) ? 0 : 1;
}
