/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from outside, and verdicts in it: both come back the same from their own text. */
#include "diag/verdict.h"
#include "fuzz.h"
#include "wire/json.h"

static void
check_verdict(const char *text)
{
	struct err err = ERR_INIT;
	OWN(verdict) v = verdict_from_json(text, &err);
	OWN(verdict) again = NULL;
	OWN_TEXT first = NULL;
	OWN_TEXT second = NULL;
	CLEAR(buf) page = BUF_INIT(1024 * 1024);

	if (!v)
		return;
	verdict_print(v, &page, true);
	first = verdict_json(v);
	again = verdict_from_json(first, &err);
	FUZZ_CHECK(again);
	second = verdict_json(again);
	FUZZ_CHECK(strcmp(first, second) == 0);
}

static void
ask(const json_t *json)
{
	struct err err = ERR_INIT;
	const char *text;
	int64_t number = 0;
	bool truth = false;
	json_t *inner;

	json_get_text(json, "a", &text, &err);
	json_find_int(json, "a", &number, &err);
	json_find_bool(json, "a", &truth, &err);
	json_find_object(json, "a", &inner, &err);
	json_find_array(json, "a", &inner, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) json = json_parse(data, size, &err);
	OWN_LIB(json_t) again = NULL;
	OWN_TEXT first = NULL;
	OWN_TEXT second = NULL;

	if (!json)
		return 0;
	ask(json);
	first = json_line(json);
	again = json_parse(first, strlen(first), &err);
	FUZZ_CHECK(again);
	second = json_line(again);
	FUZZ_CHECK(strcmp(first, second) == 0);
	check_verdict(first);
	return 0;
}
