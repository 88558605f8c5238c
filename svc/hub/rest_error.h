/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How the hub's REST API says no: one table of codes (hub 4.7), one form of answer that all clients understand. */

#include <stdarg.h>

#include "base/own.h"
#include "net/http_server.h"

enum rest_error {
	REST_GENERIC_BAD_REQUEST,
	REST_INVALID_PROTOCOL_VERSION,
	REST_DEVICE_INVALID_RESULT_COUNT,
	REST_ARGUMENT_INVALID,
	REST_DESERIALIZATION_ERROR,
	REST_INVALID_DEVICE_SCOPE,
	REST_UNAUTHORIZED_ACCESS,
	REST_SYSTEM_MODULE_UNAUTHORIZED,
	REST_GENERIC_FORBIDDEN,
	REST_GENERIC_NOT_FOUND,
	REST_DEVICE_NOT_FOUND,
	REST_MODULE_NOT_FOUND,
	REST_METHOD_NOT_ALLOWED,
	REST_DEVICE_ALREADY_EXISTS,
	REST_MODULE_ALREADY_EXISTS,
	REST_PRECONDITION_FAILED,
	REST_TOO_MANY_MODULES,
	REST_THROTTLED,
	REST_SERVER_ERROR,
	REST_UNAVAILABLE,
	REST_ERROR_COUNT
};

void rest_fail(struct http_request *req, enum rest_error error, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
