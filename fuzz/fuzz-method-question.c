/* SPDX-License-Identifier: Apache-2.0 */
/* Method calls over HTTP: what is taken is within its ceilings. */
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "heads/method_question.h"
#include "wire/json.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct method_call call = { 0 };
	struct err err = ERR_INIT;
	OWN_LIB(json_t) body = json_parse(data, size, &err);

	if (body && method_question_take(&call, body, 100, &err) == 0) {
		FUZZ_CHECK(call.name && strlen(call.name) >= 1 && strlen(call.name) <= 100);
		FUZZ_CHECK(call.payload && strlen(call.payload) <= METHOD_PAYLOAD_MAX);
		FUZZ_CHECK(call.response_ms >= 5000 && call.response_ms <= 300000 && call.connect_ms >= 0 &&
			   call.connect_ms <= 300000);
	}
	method_call_clear(&call);
	return 0;
}
