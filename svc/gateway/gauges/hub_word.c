/* SPDX-License-Identifier: Apache-2.0 */
/* A bag of properties, of which those that are not known are overlooked: another version may say more. */
#include "gateway/gauges/hub_word.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/property_bag.h"

#define FOR_MAX_S (100LL * 366 * 86400)

static const char *const reaches[] = { [HUB_REACHED] = "reachable", [HUB_AWAY] = "away", [HUB_REFUSES] = "refuses" };

void
hub_word_format(struct buf *out, const struct hub_word *word)
{
	char seconds[24];

	property_put(out, "reach", reaches[word->reach]);
	if (word->reach == HUB_REACHED)
		return;
	snprintf(seconds, sizeof(seconds), "%lld", (long long)(word->for_s < FOR_MAX_S ? word->for_s : FOR_MAX_S));
	property_put(out, "seconds", seconds);
	property_put(out, "gateway", word->gateway);
}

static enum hub_reach
reach_of(const char *text)
{
	for (size_t i = HUB_REACHED; i < COUNT(reaches); i++)
		if (text_is(text, reaches[i]))
			return (enum hub_reach)i;
	return HUB_NOT_TRIED;
}

static void
take(struct hub_word *word, const char *name, const char *value)
{
	if (text_is(name, "reach"))
		word->reach = reach_of(value);
	else if (text_is(name, "seconds") && !text_to_i64(value, 0, FOR_MAX_S, &word->for_s))
		word->for_s = -1;
	else if (text_is(name, "gateway"))
		snprintf(word->gateway, sizeof(word->gateway), "%s", identity_id_is_valid(value) ? value : "");
}

bool
hub_word_parse(struct hub_word *out, struct slice text)
{
	struct hub_word word = { .for_s = -1 };
	CLEAR(property_bag) bag = { 0 };

	if (text.len > HUB_WORD_MAX)
		return false;
	property_bag_init(&bag, text);
	while (property_bag_next(&bag))
		take(&word, buf_text(&bag.name), buf_text(&bag.value));
	if (word.reach == HUB_REACHED)
		word = (struct hub_word){ .reach = HUB_REACHED };
	else if (word.reach == HUB_NOT_TRIED || word.for_s < 0 || !*word.gateway)
		return false;
	*out = word;
	return true;
}
