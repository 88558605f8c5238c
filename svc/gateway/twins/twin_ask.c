/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to who asked. */
#include "gateway/twins/twin_ask.h"

#include "base/mem.h"
#include "wire/json.h"

void
twin_ask_clear(struct twin_ask *ask)
{
	mem_free(ask->device_id);
	mem_free(ask->module_id);
	mem_free(ask->generation_id);
	json_decref(ask->patch);
	mem_free(ask->body);
}

void
twin_ask_answer(struct twin_ask *ask, int status, const json_t *body)
{
	ask->status = status;
	ask->body = body ? json_line(body) : mem_text("");
	ask->done(ask);
}

/* Clients fail on an error without these (clients-observed 3). */
void
twin_ask_fail(struct twin_ask *ask, int status, int code, const char *words)
{
	OWN_LIB(json_t) body = json_pack("{s:i, s:s}", "errorCode", code, "message", words);

	twin_ask_answer(ask, status, body);
}

void
twin_ask_fail_busy(struct twin_ask *ask)
{
	twin_ask_fail(ask, 429, 429001, "too many changes wait; try again");
}
