/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How the hub's REST API says no: one table of codes (hub 4.7), one form of answer that all clients understand. */

#include <stdarg.h>

#include "base/own.h"
#include "heads/head.h"
#include "heads/http_head.h"
#include "net/http_server.h"

enum rest_error {
#define X(code, status, number, name) code,
#include "hub/rest/rest_errors.tbl.h"
#undef X
	REST_ERROR_COUNT
};

struct rest_error_row {
	int status, number;
	const char *name;
};
const struct rest_error_row *rest_error_row(enum rest_error error);

#define REST_ERROR_TEXT_MAX 512

json_t *rest_error_json(enum rest_error error, char *text); /* the body of an answer; text is repaired where it isn't UTF-8 */
/* For an answer that says more than that. */
void rest_fail_json(struct http_request *req, enum rest_error error, json_t *body_take);
/* What went wrong with a device's request. */
void rest_fail_device(struct http_request *req, enum http_head_error error, const char *words);
/* What went wrong with a question over MQTT; info_take: `info` of the body, or NULL. */
void rest_fail_question(struct head_call *call, enum rest_error error, const char *words, json_t *info_take);
void rest_fail(struct http_request *req, enum rest_error error, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
