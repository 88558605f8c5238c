/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a method call, read with their ceilings. */
#include "heads/method_question.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

#define RESPONSE_MIN_S 5
#define RESPONSE_DEFAULT_S 30
#define WAIT_MAX_S 300

static int
take_seconds(int64_t *out_ms, json_t *body, const char *name, int64_t usual, int64_t min, struct err *err)
{
	int64_t seconds = usual;

	if (json_find_int(body, name, &seconds, err) < 0)
		return -1;
	if (seconds < min || seconds > WAIT_MAX_S)
		return err_set(err, ERR_INVALID, "%s must be from %d to %d", name, (int)min, WAIT_MAX_S);
	*out_ms = seconds * 1000;
	return 0;
}

static int
take_name(struct method_call *method, json_t *body, size_t max, struct err *err)
{
	const char *name;
	size_t len;

	if (json_get_text(body, "methodName", &name, err) < 0)
		return -1;
	len = strlen(name);
	if (len == 0 || len > max || text_has_control(name, len))
		return err_set(err, ERR_INVALID, "methodName has 1 to %zu characters that can be seen", max);
	method->name = mem_text(name);
	return 0;
}

/* Without one the device gets the word null: clients can't read an empty payload (clients-observed 3). */
static int
take_payload(struct method_call *method, json_t *body, struct err *err)
{
	json_t *payload = json_object_get(body, "payload");

	method->payload = payload ? json_line(payload) : mem_text("null");
	if (strlen(method->payload) > METHOD_PAYLOAD_MAX)
		return err_set(err, ERR_LIMIT, "the payload is larger than 128 KB");
	return 0;
}

/* The C SDK's modules call the time to answer "timeout" (hub 2.3). */
int
method_question_take(struct method_call *method, json_t *body, size_t name_max, struct err *err)
{
	const char *response = json_object_get(body, "timeout") ? "timeout" : "responseTimeoutInSeconds";

	if (take_name(method, body, name_max, err) < 0 ||
		take_seconds(&method->response_ms, body, response, RESPONSE_DEFAULT_S, RESPONSE_MIN_S, err) < 0 ||
		take_seconds(&method->connect_ms, body, "connectTimeoutInSeconds", 0, 0, err) < 0)
		return -1;
	return take_payload(method, body, err);
}
