/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge (heads/method.h) does the work; its caller is the line. */
#include "gateway/relay/method_relay.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/gauges/tally.h"
#include "gateway/upstream/lines.h"
#include "wire/json.h"

#define RESPONSE_MS (330 * 1000) /* the hub's callers wait 300 s at most */

struct method_relay {
	struct line_user user;
	struct methods *methods;
	size_t n_calls; /* on their way to the device */
};

/* A call on its way; the line stays for it. */
struct relayed {
	struct method_call call;
	struct line *line;
	struct method_relay *relay;
	char *rid;
	int64_t called_ms; /* boot clock */
};

static void
answer(struct line *line, const char *rid, int status, const char *text)
{
	device_link_answer_method(line_link(line), rid, status, slice_of(text));
}

static void
answer_error(struct line *line, const char *rid, int status, const char *words)
{
	OWN_LIB(json_t) body = json_pack("{s:s}", "message", words);
	OWN_TEXT text = json_line(body);

	answer(line, rid, status, text);
}

/* What the hub's caller is told when the device has not answered. */
static const struct {
	int status;
	const char *words;
} failures[METHOD_ANSWER_COUNT] = {
	[METHOD_NOT_ONLINE] = { 404, "the device is not connected to its gateway, or does not listen to methods" },
	[METHOD_TIMED_OUT] = { 504, "the device has not answered in time" },
	[METHOD_CLOSED] = { 404, "the device's connection to its gateway has ended before it answered" },
	[METHOD_GONE] = { 404, "the device was deleted and made again" },
	[METHOD_BAD_RESULT] = { 502, "what the device answered is not JSON" },
	[METHOD_TOO_LARGE] = { 502, "what the device answered is too large" },
};

static void
relayed_free(struct relayed *r)
{
	r->relay->n_calls--;
	method_call_clear(&r->call);
	mem_free(r->rid);
	mem_free(r);
}

static void
on_done(struct method_call *call)
{
	struct relayed *r = CONTAINER_OF(call, struct relayed, call);

	tally_method_took("upstream", line_name(r->line), clock_boot_ms() - r->called_ms);
	if (call->answer == METHOD_DONE) {
		OWN_TEXT text = json_line(call->result);

		answer(r->line, r->rid, call->status, text);
	} else {
		answer_error(r->line, r->rid, failures[call->answer].status, failures[call->answer].words);
	}
	relayed_free(r);
}

/* The record of who the hub has confirmed the line to be for; NULL: there is none any more. */
static struct identity *
callee(struct line *line)
{
	int64_t confirmed;
	OWN(identity) now =
		scope_find(lines_config(line_lines(line))->scope, line_device_id(line), line_module_id(line), &confirmed);
	const char *generation = line_generation(line);

	if (!now || !generation || (*generation && !text_is(generation, now->generation_id)))
		return NULL;
	return GIVE(now);
}

static void
on_method(struct line_user *user, const char *name, const char *rid, struct slice payload)
{
	struct method_relay *relay = CONTAINER_OF(user, struct method_relay, user);
	struct line *line = user->line;
	OWN(identity) identity = callee(line);
	struct relayed *r;

	if (!identity) {
		answer_error(line, rid, failures[METHOD_GONE].status, failures[METHOD_GONE].words);
		return;
	}
	if (payload.len > METHOD_PAYLOAD_MAX || memchr(payload.text, 0, payload.len)) {
		answer_error(line, rid, 413, "the payload is larger than 128 KiB, or not text");
		return;
	}
	r = NEW(relayed);
	r->line = line;
	r->relay = relay;
	r->called_ms = clock_boot_ms();
	relay->n_calls++;
	r->rid = mem_text(rid);
	r->call.identity = GIVE(identity);
	r->call.name = mem_text(name);
	r->call.payload = slice_text(payload);
	r->call.response_ms = RESPONSE_MS;
	r->call.done = on_done;
	if (methods_submit(relay->methods, &r->call, lines_config(line_lines(line))->loop)) {
		tally_method("upstream", line_name(line));
		return;
	}
	answer_error(line, rid, 429, "too many methods are on their way to the device");
	relayed_free(r);
}

static bool
is_idle(struct line_user *user)
{
	return CONTAINER_OF(user, struct method_relay, user)->n_calls == 0;
}

static void
drop(struct line_user *user)
{
	mem_free(CONTAINER_OF(user, struct method_relay, user));
}

static const struct line_user_ops ops = { .on_method = on_method, .is_idle = is_idle, .drop = drop };

void
method_relay_attend(struct line *line, struct methods *methods, unsigned wants)
{
	struct method_relay *relay;

	if (!line_user(line, LINE_METHODS)) {
		if (!(wants & HEAD_WANTS_METHODS))
			return;
		relay = NEW(method_relay);
		relay->user.ops = &ops;
		relay->methods = methods;
		line_attach(line, LINE_METHODS, &relay->user);
	}
	line_listen(line, LINE_METHODS, wants & HEAD_WANTS_METHODS ? DEVICE_WANTS_METHODS : 0);
}
