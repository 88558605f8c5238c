/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway above says of the hub: what is read is written the same again, short, with an id and nothing else in it. */
#include "fuzz.h"
#include "gateway/gauges/hub_word.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { .text = (const char *)data, .len = size };
	CLEAR(buf) written = BUF_INIT(HUB_WORD_MAX);
	struct hub_word word, again;

	if (!hub_word_parse(&word, text))
		return 0;
	FUZZ_CHECK(word.reach != HUB_NOT_TRIED && word.for_s >= 0);
	FUZZ_CHECK(identity_id_is_valid(word.gateway) == (word.reach != HUB_REACHED));
	hub_word_format(&written, &word);
	FUZZ_CHECK(!written.failed && hub_word_parse(&again, slice_of(buf_text(&written))));
	FUZZ_CHECK(again.reach == word.reach && again.for_s == word.for_s && fuzz_same_text(again.gateway, word.gateway));
	return 0;
}
