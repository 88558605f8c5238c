/* SPDX-License-Identifier: Apache-2.0 */
/* The error answers of the REST API.  Clients read the code from the header, from the words before the first semicolon of Message, or as the number:
 * all three are there and agree (hub 4.7). */
#include "hub/rest_error.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"

#define TEXT_MAX 512

static const struct rest_error_row rows[REST_ERROR_COUNT] = {
#define X(code, status, number, name) { status, number, name },
#include "hub/rest_errors.tbl.h"
#undef X
};

const struct rest_error_row *
rest_error_row(enum rest_error error)
{
	return &rows[error];
}

void
rest_fail(struct http_request *req, enum rest_error error, const char *fmt, ...)
{
	const struct rest_error_row *row = rest_error_row(error);
	OWN_TEXT name = mem_textf("iothub-errorcode: %s", row->name);
	const char *headers[3] = { name, row->status == 429 || row->status == 503 ? "Retry-After: 5" : NULL, NULL };
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
