/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge gateway method: what is connected here carries out a method, also while the hub is away. */
#include "base/mem.h"
#include "base/text.h"
#include "gateway_tool.h"
#include "page.h"
#include "wire/json.h"

#define COMMAND "rootedge gateway method"
#define TIMEOUT_S 30
#define SLACK_S 10

struct options {
	struct gateway_options common;
	const char *payload;
	int64_t timeout_s, connect_timeout_s;
};

static const struct option_row rows[] = {
	{ "payload", 'p', "JSON", "given to it (null)", OPTION_TEXT, offsetof(struct options, payload), 0, 0 },
	{ "timeout", 0, "SECONDS", "how long it may take to answer (30)", OPTION_INT, offsetof(struct options, timeout_s), 5, 300 },
	{ "connect-timeout", 0, "SECONDS", "how long the device may take to connect (0)", OPTION_INT,
		offsetof(struct options, connect_timeout_s), 0, 300 },
	GATEWAY_ROWS,
	{ 0 },
};

static json_t *
question(const struct options *o, const char *name, struct err *err)
{
	json_t *payload = o->payload ? json_loads(o->payload, JSON_DECODE_ANY, NULL) : json_null();

	if (!payload)
		return err_null(err, ERR_INVALID, "--payload is not JSON: %.80s", o->payload);
	return json_pack("{s:s, s:o, s:I, s:I}", "methodName", name, "payload", payload, "responseTimeoutInSeconds",
		(json_int_t)o->timeout_s, "connectTimeoutInSeconds", (json_int_t)o->connect_timeout_s);
}

static int
call(const struct options *o, const char *device, const char *name, struct err *err)
{
	OWN_TEXT device_path = gateway_device_path(device, err);
	OWN_TEXT path = device_path ? mem_textf("%s/methods", device_path) : NULL;
	OWN_LIB(json_t) body = path ? question(o, name, err) : NULL;
	OWN_LIB(json_t) answer = NULL;

	if (body)
		answer = gateway_ask(&o->common, "POST", path, body, (o->timeout_s + o->connect_timeout_s + SLACK_S) * 1000, err);
	if (!answer)
		return -1;
	gateway_print_json(answer);
	return 0;
}

int
gateway_method(int argc, char **argv)
{
	static const struct option_usage usage = {
		.command = COMMAND,
		.arguments = "call DEVICE[/MODULE] NAME",
		.summary = "Call a direct method of what is connected to the gateway; the answer is printed: {\"status\", "
			   "\"payload\"}.",
		.more = "Exit status: 0 it answered, 1 it did not, 2 called wrongly.",
		.rows = rows,
	};
	struct options o = { .common.state = GATEWAY_STATE_DEFAULT, .timeout_s = TIMEOUT_S };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err);

	if (n != 3 || !text_is(argv[0], "call"))
		return page_failure(
			COMMAND, n < 0 ? &err : &(struct err){ .text = "call DEVICE[/MODULE] NAME; --help tells more" }, 2);
	return call(&o, argv[1], argv[2], &err) < 0 ? page_failure(COMMAND, &err, 1) : 0;
}
