/* SPDX-License-Identifier: Apache-2.0 */
/* The error answers of the REST API.  Clients read the code from the header, from the words before the first semicolon of Message, or as the number:
 * all three are there and agree (hub 4.7). */
#include "hub/rest/rest_error.h"
#include "wire/json.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"

static const struct rest_error_row rows[REST_ERROR_COUNT] = {
#define X(code, status, number, name) { status, number, name },
#include "hub/rest/rest_errors.tbl.h"
#undef X
};

const struct rest_error_row *
rest_error_row(enum rest_error error)
{
	return &rows[error];
}

/* The body in all forms that clients read.  `text` is made UTF-8. */
json_t *
rest_error_json(enum rest_error error, char *text)
{
	char id[RANDOM_UUID_LEN], when[CLOCK_TEXT_LEN];
	OWN_TEXT message = NULL;
	OWN_TEXT tracking = NULL;

	text_repair_utf8(text);
	message = mem_textf("ErrorCode:%s;%s", rows[error].name, text);
	tracking = mem_textf("Tracking ID:%s-G:0-TimeStamp:%s", random_uuid(id), clock_text(clock_wall(), when));
	return json_pack("{s:s, s:s, s:i}", "Message", message, "ExceptionMessage", tracking, "errorCode", rows[error].number);
}

void
rest_fail_json(struct http_request *req, enum rest_error error, json_t *body_take)
{
	const struct rest_error_row *row = rest_error_row(error);
	OWN_TEXT name = mem_textf("iothub-errorcode: %s", row->name);
	const char *headers[3] = { name, row->status == 429 || row->status == 503 ? "Retry-After: 5" : NULL, NULL };

	http_respond_json(req, row->status, headers, body_take);
}

void
rest_fail(struct http_request *req, enum rest_error error, const char *fmt, ...)
{
	char text[REST_ERROR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	rest_fail_json(req, error, rest_error_json(error, text));
}

/* Clients look at the body alone, and fail on one that is empty or no JSON (clients-observed 3). */
void
rest_fail_question(struct head_call *call, enum rest_error error, const char *words, json_t *info_take)
{
	const struct rest_error_row *row = rest_error_row(error);
	char id[RANDOM_UUID_LEN], when[CLOCK_TEXT_LEN];
	OWN_LIB(json_t) body = json_pack("{s:i, s:s, s:s, s:s, s:o*}", "errorCode", row->number, "trackingId", random_uuid(id),
		"message", words, "timestampUtc", clock_text(clock_wall(), when), "info", info_take);
	OWN_TEXT text = json_line(body);

	head_answer(call, row->status, 0, text, strlen(text));
}

void
rest_fail_device(struct http_request *req, enum http_head_error error, const char *words)
{
	static const enum rest_error errors[HTTP_HEAD_ERROR_COUNT] = {
		[HTTP_HEAD_BAD_ID] = REST_ARGUMENT_INVALID,
		[HTTP_HEAD_UNAUTHORIZED] = REST_IOT_HUB_UNAUTHORIZED_ACCESS,
		[HTTP_HEAD_BAD_MESSAGE] = REST_DESERIALIZATION_ERROR,
		[HTTP_HEAD_TOO_LARGE] = REST_MESSAGE_TOO_LARGE,
		[HTTP_HEAD_LOCK_LOST] = REST_DEVICE_MESSAGE_LOCK_LOST,
		[HTTP_HEAD_UNAVAILABLE] = REST_SERVICE_UNAVAILABLE,
	};

	rest_fail(req, errors[error], "%s", words);
}
