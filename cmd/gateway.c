/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge gateway: without a verb the gateway itself, with one a tool for its operator. */
#include <stdio.h>

#include "base/mem.h"
#include "cmd.h"
#include "gateway_tool.h"
#include "net/http_client.h"
#include "page.h"
#include "service_verbs.h"

static const struct service_verb verbs[] = {
	{ "status", "devices, hub, queue, certificate; and what stops first while the hub is away", gateway_status },
	{ "device", "those below it: list, show", gateway_device },
	{ "method", "direct methods, also while the hub is away: call", gateway_method },
	{ "twin", "what devices go by, also while the hub is away: show, set, reset", gateway_twin },
	{ "metrics", "for Prometheus", gateway_metrics },
};

int
cmd_gateway(int argc, char **argv)
{
	static const struct service_verbs noun = { "gateway", "Verbs for a gateway's operator",
		"Without a verb it is the gateway itself", verbs, COUNT(verbs) };

	return service_verbs_run(&noun, argc, argv);
}

/* -- rootedge gateway metrics -------------------------------------------------------------------------------------------------------------- */

#define METRICS_MAX (32 << 20)

static const struct option_row rows[] = {
	{ "state", 's', "DIR", "the edge device's state folder (" GATEWAY_STATE_DEFAULT ")", OPTION_TEXT,
		offsetof(struct gateway_options, state), 0, 0 },
	{ 0 },
};
static const struct option_usage usage = {
	.command = "rootedge gateway metrics",
	.arguments = "",
	.summary = "Print the gateway's metrics in Prometheus's text format, as its node exporter reads them from a file.",
	.rows = rows,
};

int
gateway_metrics(int argc, char **argv)
{
	struct gateway_options o = { .state = GATEWAY_STATE_DEFAULT };
	struct http_answer answer = { 0 };
	struct err err = ERR_INIT;
	OWN_TEXT socket = NULL;
	int status = page_options(&usage, &o, argc, argv);

	if (status != 0)
		return status;
	socket = mem_textf("%s/gateway/control.sock", o.state);
	status = http_fetch(&answer,
		&(struct http_call){
			.method = "GET", .url = "http://gateway/metrics", .unix_path = socket, .max_body = METRICS_MAX },
		&err);
	if (status == 0 && answer.status == 200)
		page_print(&answer.body);
	else if (status == 0)
		(void)err_set(&err, ERR_UNAVAILABLE, "the gateway answers %d", answer.status);
	http_answer_clear(&answer);
	return err.kind == ERR_NONE ? 0 : page_failure(usage.command, &err, 1);
}
