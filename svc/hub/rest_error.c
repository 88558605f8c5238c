/* SPDX-License-Identifier: Apache-2.0 */
/* The error answers of the REST API.  Clients read the code from the header, from the words before the first semicolon of Message, or as the number:
 * all three are there and agree (hub 4.7). */
#include "hub/rest_error.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"

#define TEXT_MAX 512

struct rest_error_row {
	int status, number;
	const char *name;
};

static const struct rest_error_row rows[REST_ERROR_COUNT] = {
	[REST_GENERIC_BAD_REQUEST] = { 400, 400000, "GenericBadRequest" },
	[REST_INVALID_PROTOCOL_VERSION] = { 400, 400001, "InvalidProtocolVersion" },
	[REST_DEVICE_INVALID_RESULT_COUNT] = { 400, 400002, "DeviceInvalidResultCount" },
	[REST_ARGUMENT_INVALID] = { 400, 400004, "ArgumentInvalid" },
	[REST_DESERIALIZATION_ERROR] = { 400, 400012, "DeserializationError" },
	[REST_INVALID_DEVICE_SCOPE] = { 400, 400028, "InvalidDeviceScope" },
	[REST_UNAUTHORIZED_ACCESS] = { 401, 401002, "IotHubUnauthorizedAccess" },
	[REST_SYSTEM_MODULE_UNAUTHORIZED] = { 401, 401100, "SystemModuleModifyUnauthorizedAccess" },
	[REST_GENERIC_FORBIDDEN] = { 403, 403000, "GenericForbidden" },
	[REST_GENERIC_NOT_FOUND] = { 404, 404000, "GenericNotFound" },
	[REST_DEVICE_NOT_FOUND] = { 404, 404001, "DeviceNotFound" },
	[REST_MODULE_NOT_FOUND] = { 404, 404010, "ModuleNotFound" },
	[REST_METHOD_NOT_ALLOWED] = { 405, 405000, "GenericMethodNotAllowed" },
	[REST_DEVICE_ALREADY_EXISTS] = { 409, 409001, "DeviceAlreadyExists" },
	[REST_MODULE_ALREADY_EXISTS] = { 409, 409301, "ModuleAlreadyExistsOnDevice" },
	[REST_PRECONDITION_FAILED] = { 412, 412001, "PreconditionFailed" },
	[REST_TOO_MANY_MODULES] = { 413, 413003, "TooManyModulesOnDevice" },
	[REST_THROTTLED] = { 429, 429001, "ThrottlingException" },
	[REST_SERVER_ERROR] = { 500, 500001, "ServerError" },
	[REST_UNAVAILABLE] = { 503, 503001, "ServiceUnavailable" },
};

void
rest_fail(struct http_request *req, enum rest_error error, const char *fmt, ...)
{
	const struct rest_error_row *row = &rows[error];
	OWN_TEXT name = mem_textf("iothub-errorcode: %s", row->name);
	const char *headers[3] = { name, error == REST_THROTTLED || error == REST_UNAVAILABLE ? "Retry-After: 5" : NULL, NULL };
	char text[TEXT_MAX], id[RANDOM_UUID_LEN], when[CLOCK_TEXT_LEN];
	OWN_TEXT message = NULL;
	OWN_TEXT tracking = NULL;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	text_repair_utf8(text);
	message = mem_textf("ErrorCode:%s;%s", row->name, text);
	tracking = mem_textf("Tracking ID:%s-G:0-TimeStamp:%s", random_uuid(id), clock_text(clock_wall(), when));
	http_respond_json(req, row->status, headers,
		json_pack("{s:s, s:s, s:i}", "Message", message, "ExceptionMessage", tracking, "errorCode", row->number));
}
