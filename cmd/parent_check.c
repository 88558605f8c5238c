/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at a parent. */
#include "parent_check.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "page.h"
#include "server_look.h"
#include "wire/codec.h"

#define CLOCK_OFF_S 30 /* the device's own tokens live for a minute */

/* -- Its ports ----------------------------------------------------------------------------------------------------------------------------- */

/* before: what was found at the other port, which need not be told twice. */
static enum reason
check_port(const struct parent_check *c, const char *what, int port, bool is_mqtt, enum reason before, struct buf *page)
{
	OWN_TEXT question = mem_textf("Is the gateway above really %s?", c->name);
	OWN_TEXT peer = mem_textf("%s:%d", c->name, port);
	OWN(verdict) v = verdict_new("edge", question, peer);
	struct server_look look = {
		.name = c->name,
		.connect_to = c->connect_to,
		.port = port,
		.is_mqtt = is_mqtt,
		.timeout_ms = c->timeout_ms,
		.roots = c->roots,
		.anchors = c->anchors,
		.roots_name = c->roots_name,
	};
	CLEAR(probe) probe = { .reason = OK };

	if (port == 0)
		return OK;
	server_look(v, &look, &probe);
	if (verdict_accepted(v)) {
		buf_putf(page, "✓ %s at %s: it is %s\n", what, peer, c->name);
	} else if (verdict_cause(v) == before) {
		buf_putf(page, "✗ %s at %s: %s, too\n", what, peer, reason_row(before)->code);
	} else {
		buf_putf(page, "%s at %s:\n", what, peer);
		verdict_print_finding(v, "", page, page_has_colour());
	}
	return verdict_cause(v);
}

/* -- Does it let this device in? ------------------------------------------------------------------------------------------------------------- */

static const struct {
	int status;
	bool is_well;
	const char *words;
} answers[] = {
	{ 200, true, "it lets %s in, and the hub answers through it" },
	{ 400, false, "it understood nothing of what was asked: it is another program, or an older one" },
	{ 401, false,
		"it does not let %s in, and tells why to its operator alone.\n    to do   There, `rootedge gateway device show "
		"%s`, "
		"or its log where that knows no such device, has the reason.\n            In the hub: is this device there, "
		"enabled, and a "
		"child of the gateway (parentScopes)?  Is its key or certificate the one that the hub has, and the hub's "
		"name (HostName, --hub) the hub's?\n            A change in the hub may take the gateway a moment." },
	{ 403, false,
		"it knows %s, but not as a gateway below it.\n    to do   In the hub: make it an edge device "
		"(capabilities.iotEdge), and the gateway its parent (parentScopes)." },
	{ 404, false,
		"what answers there lets no gateways below it in.\n    to do   Is this port the gateway's, and not a proxy's or "
		"the hub's?" },
	{ 500, false,
		"it lets %s in, but can't reach those above it itself.\n    to do   rootedge edge status and the gateway's log "
		"there; this device starts when the hub has answered once." },
	{ 503, false, "it has no answer right now.\n    to do   Try again; rootedge edge status and the gateway's log there." },
};

/* Of a refusal the gateway tells those who ask nothing (heads/http_head.c) but its time.  By that, what this device showed had ended, or had not begun: then it
 * was that, whatever else is wrong; false: it was something else. */
static bool
tell_time(const struct parent_check *c, int64_t date, struct buf *page)
{
	const struct cert *own = c->chain ? c->chain->item[0] : NULL;
	char theirs[CLOCK_TEXT_LEN], ours[CLOCK_TEXT_LEN], when[CLOCK_TEXT_LEN];

	clock_text(date, theirs);
	if (c->authorization && date >= c->token_until)
		buf_putf(page,
			"✗ it does not let %s in: by its clock, %s, the token that was made here at %s has ended.\n"
			"    to do   Put right the clock that is wrong, this device's or the gateway's.\n",
			c->device_id, theirs, clock_text(c->token_from, ours));
	else if (own && date > cert_not_after(own))
		buf_putf(page,
			"✗ it does not let %s in: by its clock, %s, the certificate that it was shown has ended (%s).\n"
			"    to do   Have a new one issued, and registered where the hub knows it by its thumbprint.\n",
			c->device_id, theirs, clock_text(cert_not_after(own), when));
	else if (own && date < cert_not_before(own))
		buf_putf(page,
			"✗ it does not let %s in: by its clock, %s, the certificate that it was shown has not begun (%s).\n"
			"    to do   Put right the clock that is wrong, the gateway's or that of who issued it.\n",
			c->device_id, theirs, clock_text(cert_not_before(own), when));
	else
		return false;
	return true;
}

static void
tell_clocks(const struct parent_check *c, int64_t date, struct buf *page)
{
	int64_t now = clock_wall();
	char theirs[CLOCK_TEXT_LEN], ours[CLOCK_TEXT_LEN];

	if (c->authorization && llabs(date - now) >= CLOCK_OFF_S)
		buf_putf(page, "            Its clock says %s, this device's %s; tokens are made by this one and judged by that.\n",
			clock_text(date, theirs), clock_text(now, ours));
}

static bool
tell_answer(const struct parent_check *c, const struct http_answer *answer, const struct err *err, struct buf *page)
{
	int status = answer->status;
	bool is_refused = status == 401 && answer->date >= 0;

	if (is_refused && tell_time(c, answer->date, page))
		return false;
	for (size_t i = 0; i < COUNT(answers); i++) {
		if (answers[i].status != status)
			continue;
		buf_puts(page, answers[i].is_well ? "✓ " : "✗ ");
		for (const char *at = answers[i].words; *at; at++) {
			if (at[0] == '%' && at[1] == 's') {
				buf_puts(page, c->device_id);
				at++;
			} else {
				buf_put(page, at, 1);
			}
		}
		buf_puts(page, "\n");
		if (is_refused)
			tell_clocks(c, answer->date, page);
		return answers[i].is_well;
	}
	buf_putf(page, "✗ it was asked for the modules of %s: %s\n", c->device_id, err->text);
	return false;
}

static bool
check_admission(const struct parent_check *c, struct buf *page)
{
	CLEAR(buf) url = BUF_INIT(4096);
	const char *headers[] = { c->authorization, NULL };
	struct http_call call = {
		.method = "GET",
		.connect_to = c->connect_to,
		.headers = headers,
		.anchors = c->anchors,
		.chain = c->chain,
		.key = c->key,
		.timeout_ms = 2 * c->timeout_ms, /* it may have to ask the hub */
		.who = "edge",
	};
	struct http_answer answer = { 0 };
	struct err err = ERR_INIT;
	json_t *body = NULL;
	bool well;

	buf_putf(&url, "https://%s:%d/devices/", c->name, c->https_port);
	percent_encode(&url, c->device_id, strlen(c->device_id));
	buf_puts(&url, "/modules?api-version=2017-11-08-preview");
	call.url = buf_text(&url);
	if (http_fetch_json(&body, &answer, &call, NULL, &err) < 0 && answer.status == 0)
		buf_putf(page, "✗ it was asked for the modules of %s: %s\n", c->device_id, err.text);
	well = answer.status != 0 && tell_answer(c, &answer, &err, page);
	json_decref(body);
	http_answer_clear(&answer);
	return well;
}

bool
parent_check(const struct parent_check *c, struct buf *page)
{
	enum reason https = check_port(c, "HTTPS", c->https_port, false, OK, page);
	enum reason mqtt = check_port(c, "MQTT", c->mqtt_port, true, https, page);

	if (https != OK && mqtt == OK && c->mqtt_port)
		buf_puts(page, "    to do   Its MQTT port is there: `rootedge gateway status` on it says whether, and why, it does "
			       "without the "
			       "other one.\n");
	if (https == OK && mqtt != OK && mqtt != NOT_MQTT && c->https_port)
		buf_puts(page, "    to do   Its HTTPS port is there, but what devices send goes by this one: look at [upstream] "
			       "mqtt_port, and "
			       "for what keeps it shut on the way.\n");
	if (https == OK && c->https_port && c->device_id && !check_admission(c, page))
		return false;
	return https == OK && mqtt == OK;
}
