/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The verbs of `rootedge gateway`: each asks the gateway of this box on its operator's socket. */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/err.h"
#include "base/option.h"

/* What the options of each verb begin with. */
struct gateway_options {
	const char *state;
	bool json;
};
#define GATEWAY_STATE_DEFAULT "/var/lib/aziot"
#define GATEWAY_ROWS                                                                                                               \
	{ "state", 's', "DIR", "the edge device's state folder (" GATEWAY_STATE_DEFAULT ")", OPTION_TEXT,                          \
		offsetof(struct gateway_options, state), 0, 0 },                                                                   \
	{                                                                                                                          \
		"json", 0, NULL, "JSON, for programs", OPTION_FLAG, offsetof(struct gateway_options, json), 0, 0                   \
	}

/* The answer, which the caller owns; body may be NULL.  timeout_ms 0: a moment. */
json_t *gateway_ask(const struct gateway_options *options, const char *method, const char *path, const json_t *body,
	int64_t timeout_ms, struct err *err);
/* "devices/ID" or "devices/ID/modules/ID" of the operand DEVICE or DEVICE/MODULE, encoded; the caller owns it.  NULL: it is neither. */
char *gateway_device_path(const char *name, struct err *err);
void gateway_print_json(const json_t *json);			     /* one line */
const char *gateway_text_at(const json_t *object, const char *name); /* "" when it is absent or no text; borrowed */

int gateway_status(int argc, char **argv);
int gateway_metrics(int argc, char **argv);
int gateway_device(int argc, char **argv);
int gateway_method(int argc, char **argv);
int gateway_twin(int argc, char **argv);
