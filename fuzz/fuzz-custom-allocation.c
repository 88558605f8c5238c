/* SPDX-License-Identifier: Apache-2.0 */
/* What a web hook answers: whatever it is, a hub comes out that was linked, with objects that can be kept, or a number and a sentence and nothing else. */
#include "fuzz.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/custom_allocation.h"
#include "wire/json.h"

static void
check_object(const char *text)
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) json = text ? json_parse(text, strlen(text), &err) : NULL;

	FUZZ_CHECK(!text || (json_is_object(json) && strlen(text) <= CUSTOM_ALLOCATION_PAYLOAD_MAX));
}

static void
check_answer(const json_t *answer)
{
	struct linked_hub far_hub = { .host = (char[]){ "far.test" } };
	const struct linked_hubs hubs = { .item = { &far_hub }, .n = 1 };
	OWN(enrollment) e = enrollment_new("plant", true);
	struct custom_allocation got;
	struct err err = ERR_INIT;
	int number;

	e->wishes = json_object();
	number = custom_allocation_read(&got, answer, e, &hubs, "home.test", &err);
	if (number) {
		FUZZ_CHECK(number / 1000 == 400 && err.text[0] && !got.hub && !got.twin && !got.returned);
		return;
	}
	FUZZ_CHECK(text_is(got.hub, "far.test") || text_is(got.hub, "home.test"));
	check_object(got.twin);
	check_object(got.returned);
	custom_allocation_clear(&got);
}

static void
check_url(const char *text)
{
	struct err err = ERR_INIT;

	if (custom_allocation_check_url(text, &err) < 0)
		return;
	for (; *text; text++)
		FUZZ_CHECK(*text > ' ' && *text <= '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) answer = json_parse(data, size, &err);
	OWN_TEXT text = mem_textn((const char *)data, size);

	if (answer)
		check_answer(answer);
	check_url(text);
	return 0;
}
